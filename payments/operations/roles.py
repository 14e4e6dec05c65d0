"""The console's two roles. They are made after every migration, so that a new table's permissions are in them."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

AUDITOR, OPERATOR = "auditor", "operator"
# Django's own bookkeeping is nobody's to look at by role, except for the log of what operators did.
DJANGOS_OWN = ("admin", "auth", "contenttypes", "sessions")
MAY_LOOK = Q(codename__startswith="view_") & ~Q(content_type__app_label__in=DJANGOS_OWN)
MAY_READ_LOG = Q(content_type__app_label="admin", codename="view_logentry")
MAY_ACT = Q(content_type__app_label="openplatform", codename__in=("replay_notification", "probe_notifyendpoint")) | Q(
    content_type__app_label="payments", codename__in=("add_paycode", "change_paycode")
)


def ensure_roles(**_signal: Any) -> None:
    """Make "auditor" (looks at everything) and "operator" (besides: replays, probes of hosts, pay codes)."""
    looks = MAY_LOOK | MAY_READ_LOG
    for name, allowed in ((AUDITOR, looks), (OPERATOR, looks | MAY_ACT)):
        role, _created = Group.objects.get_or_create(name=name)
        role.permissions.set(Permission.objects.filter(allowed))
