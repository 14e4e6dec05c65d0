"""Rate rules: the one kind of row that is edited here. A change is in force on every process within five seconds."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from openplatform.console.base import RecordAdmin, column
from openplatform.limits import routes
from openplatform.models import RateRule
from openplatform.models.limits import LimitScope, RuleChanged, RuleTerms

TERMS = ("scope", "route", "app", "algorithm", "limit", "period_s", "burst", "cells", "enabled")
_ROUTES = {LimitScope.IP.value: routes.doors, LimitScope.APP_ROUTE.value: routes.operations}

if TYPE_CHECKING:
    _RateRuleModelForm = forms.ModelForm[RateRule]
else:
    _RateRuleModelForm = forms.ModelForm


class RateRuleForm(_RateRuleModelForm):
    """The terms, and the version that the operator saw: a rule that was changed meanwhile is not changed again."""

    class Meta:
        model = RateRule
        fields = (*TERMS, "version")
        widgets = {"version": forms.HiddenInput}

    def clean_route(self) -> str:
        """Nobody meets a rule whose route is misspelt. A rule may keep the route that it has."""
        route: str = self.cleaned_data["route"]
        known = _ROUTES.get(self.cleaned_data.get("scope", ""), set())
        if known and route not in known and route != self.initial.get("route"):
            raise forms.ValidationError(
                _("There is no such route. There are: %(routes)s.") % {"routes": ", ".join(sorted(known))}
            )
        return route

    @property
    def terms(self) -> RuleTerms:
        return RuleTerms(**{name: self.cleaned_data[name] for name in TERMS})


@admin.register(RateRule)
class RateRuleAdmin(RecordAdmin):
    form = RateRuleForm
    list_display = (
        "shown_scope",
        "route",
        "app",
        "algorithm",
        "shown_rate",
        "enabled",
        "changed_at",
        "changed_by",
    )
    list_filter = ("scope", "algorithm", "enabled")
    list_select_related = ("app",)
    search_fields = ("route", "=app__app_id", "app__name")
    fields = (*TERMS, "created_at", "created_by", "changed_at", "changed_by", "version")
    readonly_fields = ("created_at", "created_by", "changed_at", "changed_by")
    add_fields = (*TERMS, "version")
    autocomplete_fields = ("app",)
    ordering = ("scope", "route", "app_id", "period_s")

    @column(gettext_lazy("scope"), ordering="scope")
    def shown_scope(self, row: RateRule) -> str:
        return row.get_scope_display()

    @column(gettext_lazy("rate"))
    def shown_rate(self, row: RateRule) -> str:
        words = _("%(limit)s in %(period)s s")
        if row.burst:
            words = _("%(limit)s in %(period)s s, %(burst)s at once")
        elif row.cells:
            words = _("%(limit)s in %(period)s s, %(cells)s cells")
        return words % {"limit": row.limit, "period": row.period_s, "burst": row.burst, "cells": row.cells}

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        return self.may(request, "change_raterule")

    def save_model(self, request: HttpRequest, obj: RateRule, form: RateRuleForm, change: bool) -> None:  # noqa: FBT001
        """By the model's own verbs. Raises RuleChanged."""
        by, now = request.user.get_username(), timezone.now()
        written = obj.change(form.terms, by=by, now=now) if change else RateRule.add(form.terms, by=by, now=now)
        obj.pk, obj.version = written.pk, written.version

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            answer: HttpResponse = super().changeform_view(request, *args, **kwargs)
        except RuleChanged:
            self.message_user(request, _("It was changed meanwhile; nothing was done."), messages.WARNING)
            return redirect(request.path)
        return answer

    def construct_change_message(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        form: RateRuleForm,
        formsets: Any,  # noqa: ARG002
        add: bool = False,  # noqa: FBT001, FBT002
    ) -> str:
        """What was, and what is: the console's log has to say more than that a limit was touched."""
        if add:
            return ", ".join(f"{name}: {form.cleaned_data[name]}" for name in TERMS)
        return ", ".join(f"{name}: {form.initial.get(name)} → {form.cleaned_data[name]}" for name in form.changed_data)
