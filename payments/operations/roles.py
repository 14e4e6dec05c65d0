"""The console's roles. They are made after every migration, so that a new table's permissions are in them.

Each holds what its work needs and no more; a person may hold several. Who gives money back, who lets somebody call us,
and who says which merchants there are, are three roles, and none of them can do another's work.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

# Django's own bookkeeping is nobody's to look at by role, except for the log of what operators did.
DJANGOS_OWN = ("admin", "auth", "contenttypes", "sessions")
_LOOK = Q(codename__startswith="view_")


def _may(app_label: str, *codenames: str) -> Q:
    return Q(content_type__app_label=app_label, codename__in=codenames)


def _look_at(app_label: str) -> Q:
    return Q(_LOOK, content_type__app_label=app_label)


_LOG = _may("admin", "view_logentry")
_EVERYTHING = (_LOOK & ~Q(content_type__app_label__in=DJANGOS_OWN)) | _LOG
_PLATFORM = _look_at("openplatform")

ROLES: Mapping[str, Q] = {
    # Looks at everything and changes nothing.
    "auditor": _EVERYTHING,
    # Answers merchants: sends again, has paused hosts tried, prints pay codes.
    "operator": _EVERYTHING
    | _may("openplatform", "replay_notification", "probe_notifyendpoint", "acknowledge_alarm", "reset_breaker")
    | _may("payments", "add_paycode", "change_paycode", "fetch_bill", "download_bill"),
    # Decides about money: cases, and what becomes of money that comes late.
    "finance": _look_at("payments")
    | _may("openplatform", "view_merchant", "view_app", "view_notification")
    | _may("payments", "resolve_case", "add_orderpolicy", "change_orderpolicy")
    | _may("payments", "redirect_refund", "fetch_bill", "download_bill"),
    # Decides who may call us, how often, from where, by which key, and where we call back.
    "security": _PLATFORM
    | _LOG
    | _may("openplatform", "add_appkey", "retire_appkey", "revoke_appkey", "share_platformkey")
    | _may("openplatform", "add_blockentry", "lift_blockentry", "add_exemptaddress", "lift_exemptaddress")
    | _may("openplatform", "add_appaddress", "lift_appaddress", "add_notifyhost", "lift_notifyhost")
    | _may("openplatform", "add_raterule", "change_raterule"),
    # Sets merchants up: their apps, their accounts at the channels, how they are told.
    "administrator": _PLATFORM
    | _LOG
    | _may("payments", "view_channelaccount", "view_orderpolicy", "view_paycode")
    | _may("openplatform", "add_merchant", "switch_merchant", "add_app", "switch_app")
    | _may("openplatform", "change_delivery", "change_wechatpay_face", "probe_notifyendpoint")
    | _may("payments", "change_channelaccount"),
}


def ensure_roles(**_signal: Any) -> None:
    """Make each role what it is here, also one that was changed by hand."""
    for name, allowed in ROLES.items():
        role, _created = Group.objects.get_or_create(name=name)
        role.permissions.set(Permission.objects.filter(allowed))
