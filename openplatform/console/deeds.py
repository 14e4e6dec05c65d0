"""A deed on one row: a page of its own that says what it will do and asks for what it needs; a POST does it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from openplatform.console.base import Text
from openplatform.console.refusals import refusal
from openplatform.key_material import KeyRefused


@dataclass(frozen=True, kw_only=True)
class Deed:
    """`act` takes the row and what the form holds, and returns what to tell the operator.

    It refuses by a KeyRefused, or in the operator's words by a ValidationError.
    """

    title: Text
    text: Text
    button: Text
    act: Callable[[Any, dict[str, Any]], Text]
    form_class: type[forms.Form] = forms.Form
    is_dangerous: bool = False


def perform(model_admin: Any, request: HttpRequest, object_id: str, *, deed: Deed) -> HttpResponse:
    """Show the page of `deed`, or do it. A named refusal is shown beside the form and has changed nothing.

    The caller has checked the permission.
    """
    row = model_admin.get_object(request, unquote(object_id))
    if row is None:
        raise Http404(_("There is no such row."))
    form = deed.form_class(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            done = deed.act(row, form.cleaned_data)
        except KeyRefused as error:
            form.add_error(None, refusal(error))
        except forms.ValidationError as error:
            form.add_error(None, error)
        else:
            model_admin.log_change(request, row, str(done))
            messages.success(request, str(done))
            return redirect(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", row.pk)
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": row._meta, "original": row, "form": form, "title": deed.title, "text": deed.text,
        "button": deed.button, "is_dangerous": deed.is_dangerous,
    }  # fmt: skip
    return TemplateResponse(request, "console/deed.html", context)
