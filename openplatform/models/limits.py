"""Rate rules: how often somebody may ask for something."""

from dataclasses import dataclass
from datetime import datetime

from django.db import models, transaction
from django.utils.translation import gettext_lazy as _

from openplatform.models.app import App
from openplatform.models.base import one_of

LIMIT_MAX = 1_000_000
PERIOD_MAX_S = 31 * 86_400
CELLS_MIN, CELLS_MAX = 2, 100
ROUTE = r"^[a-z][a-z_]*(\.[a-z_]+)*$"


class LimitScope(models.TextChoices):
    """Who shares one count."""

    IP = "ip", _("an address at one of our doors")
    APP = "app", _("an app")
    APP_ROUTE = "app_route", _("an app in one operation")
    GLOBAL = "global", _("everybody together")


class LimitAlgorithm(models.TextChoices):
    FIXED = "fixed", _("fixed window")
    CELLS = "cells", _("sliding window of cells")
    TOKEN = "token", _("token bucket")
    LEAKY = "leaky", _("leaky bucket")


BUCKETS = (LimitAlgorithm.TOKEN, LimitAlgorithm.LEAKY)
ROUTED = (LimitScope.IP, LimitScope.APP_ROUTE)
OF_APPS = (LimitScope.APP, LimitScope.APP_ROUTE)


class RuleChanged(Exception):
    """Somebody else changed the rule after it was read."""


@dataclass(frozen=True, kw_only=True)
class RuleTerms:
    """What a rule says: `limit` requests in `period_s`. `burst` is a bucket's size, `cells` the parts of the window.

    `route` is the door of an address, or the operation of an app. With `app` it holds for that app alone, in place of
    the rules of the same scope and route that are for all.
    """

    scope: str
    algorithm: str
    limit: int
    period_s: int
    burst: int | None = None
    cells: int | None = None
    route: str = ""
    app: App | None = None
    enabled: bool = True


class RateRule(models.Model):
    """One limit. Every change makes a new `version`, whose counts begin anew; who made it stands on the row."""

    scope = models.CharField(_("scope"), max_length=16, choices=LimitScope.choices)
    route = models.CharField(
        _("route"), max_length=64, blank=True, help_text=_("An operation, or the door that an address comes to.")
    )
    app = models.ForeignKey(
        App, on_delete=models.PROTECT, null=True, blank=True, related_name="rate_rules", verbose_name=_("app"),
        help_text=_("Only for this app, in place of the rules that are for all. Empty: for all."),
    )  # fmt: skip
    algorithm = models.CharField(_("algorithm"), max_length=16, choices=LimitAlgorithm.choices)
    limit = models.PositiveIntegerField(_("requests"), help_text=_("This many requests in one period."))
    period_s = models.PositiveIntegerField(_("period"), help_text=_("In seconds."))
    burst = models.PositiveIntegerField(
        _("burst"), null=True, blank=True, help_text=_("Of a bucket: how many may come at once.")
    )
    cells = models.PositiveIntegerField(
        _("cells"), null=True, blank=True, help_text=_("Of a sliding window: into how many parts it is cut.")
    )
    enabled = models.BooleanField(_("in force"), default=True)
    version = models.PositiveIntegerField(_("version"), default=1)
    created_at = models.DateTimeField(_("created at"))
    created_by = models.CharField(_("created by"), max_length=150)
    changed_at = models.DateTimeField(_("changed at"))
    changed_by = models.CharField(_("changed by"), max_length=150)

    class Meta:
        verbose_name = _("rate rule")
        verbose_name_plural = _("rate rules")
        constraints = [
            one_of("scope", LimitScope, name="rate_rule_scope_known"),
            one_of("algorithm", LimitAlgorithm, name="rate_rule_algorithm_known"),
            models.CheckConstraint(
                condition=models.Q(limit__range=(1, LIMIT_MAX)), name="rate_rule_limit_range",
                violation_error_message=_("A rule lets between 1 and 1,000,000 requests through."),
            ),
            models.CheckConstraint(
                condition=models.Q(period_s__range=(1, PERIOD_MAX_S)), name="rate_rule_period_range",
                violation_error_message=_("A period has between one second and 31 days."),
            ),
            models.CheckConstraint(
                condition=models.Q(algorithm__in=BUCKETS, burst__isnull=False, burst__range=(1, LIMIT_MAX))
                | (~models.Q(algorithm__in=BUCKETS) & models.Q(burst=None)),
                name="rate_rule_burst_of_buckets",
                violation_error_message=_("A bucket, and nothing else, has a burst, of at least 1."),
            ),
            models.CheckConstraint(
                condition=models.Q(
                    algorithm=LimitAlgorithm.CELLS, cells__isnull=False, cells__range=(CELLS_MIN, CELLS_MAX)
                )
                | (~models.Q(algorithm=LimitAlgorithm.CELLS) & models.Q(cells=None)),
                name="rate_rule_cells_of_sliding_windows",
                violation_error_message=_("A sliding window, and nothing else, has cells: 2 to 100."),
            ),
            models.CheckConstraint(
                condition=models.Q(scope__in=ROUTED, route__regex=ROUTE)
                | (~models.Q(scope__in=ROUTED) & models.Q(route="")),
                name="rate_rule_route_of_routed_scopes",
                violation_error_message=_("A rule for an address or for an operation names the route; no other does."),
            ),
            models.CheckConstraint(
                condition=models.Q(app=None) | models.Q(scope__in=OF_APPS), name="rate_rule_app_of_app_scopes",
                violation_error_message=_("Only a rule about apps can be for one app."),
            ),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="rate_rule_version_positive"),
            # Of two rules over the same period only the stricter would mean anything.
            models.UniqueConstraint(
                fields=["scope", "route", "period_s"], condition=models.Q(app=None), name="rate_rule_one_for_all",
                violation_error_message=_("There is a rule for all with this scope, route and period."),
            ),
            models.UniqueConstraint(
                fields=["scope", "route", "period_s", "app"], name="rate_rule_one_per_app",
                violation_error_message=_("There is a rule for this app with this scope, route and period."),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.route or self.scope}: {self.limit} / {self.period_s} s"

    @classmethod
    def add(cls, terms: RuleTerms, *, by: str, now: datetime) -> "RateRule":
        """Write down a new rule. Raises IntegrityError for terms that cannot be."""
        rule = cls(**_columns(terms), created_at=now, created_by=by, changed_at=now, changed_by=by)
        rule.save(force_insert=True)
        return rule

    def change(self, terms: RuleTerms, *, by: str, now: datetime) -> "RateRule":
        """The rule with other terms, and with its counts at zero. Raises RuleChanged when this row is no longer the
        present one.
        """
        with transaction.atomic():
            present = RateRule.objects.select_for_update().get(pk=self.pk)
            if present.version != self.version:
                raise RuleChanged
            for name, value in _columns(terms).items():
                setattr(present, name, value)
            present.version, present.changed_at, present.changed_by = self.version + 1, now, by
            present.save()
        return present

    @property
    def terms(self) -> RuleTerms:
        return RuleTerms(
            scope=self.scope, algorithm=self.algorithm, limit=self.limit, period_s=self.period_s, burst=self.burst,
            cells=self.cells, route=self.route, app=self.app, enabled=self.enabled,
        )  # fmt: skip


def _columns(terms: RuleTerms) -> dict[str, object]:
    return {name: getattr(terms, name) for name in RuleTerms.__dataclass_fields__}
