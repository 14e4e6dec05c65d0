"""Test values: the last two digits of an amount in fen choose what happens, without any rule.

For an order the total decides, for a refund the refunded amount. Values that are not listed are ordinary: the payer
decides on the phone page. "First" means only the first call with that number; a re-send is treated in the ordinary way.
"""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from sandbox.faults import Chosen, Subject
from sandbox.plans import CALL_FAULTS, NOTICE_FAULTS, CallPlan, NoticePlan

_PAID = CallPlan(pays="later")
_FIRST_ONLY = frozenset({3, 4, 18})

TEST_VALUES: Mapping[int, Mapping[str, CallPlan | NoticePlan]] = {
    1: {"create": _PAID},
    2: {"create": CALL_FAULTS["refused"], "barcode": CALL_FAULTS["refused"]},
    3: {
        "create": CallPlan(error="SYSTEM_ERROR", pause_s=-1, pays="later"),
        "barcode": CALL_FAULTS["timeout_done"],
        "refund": CALL_FAULTS["timeout_done"],
    },
    4: dict.fromkeys(("create", "barcode", "refund"), CALL_FAULTS["timeout_not_done"]),
    5: {"close": CALL_FAULTS["pay_after_close"]},  # a bar-code payment has no close and is paid at once anyway
    6: {"create": _PAID, "notify_payment": NOTICE_FAULTS["duplicates"], "notify_refund": NOTICE_FAULTS["duplicates"]},
    7: {"create": CALL_FAULTS["notify_before_answer"]},
    8: {
        "create": _PAID,
        "notify_payment": NOTICE_FAULTS["wrong_amount"],
        "notify_refund": NOTICE_FAULTS["wrong_amount"],
    },
    9: {
        "create": _PAID,
        "notify_payment": NOTICE_FAULTS["wrong_signature"],
        "notify_refund": NOTICE_FAULTS["wrong_signature"],
    },
    10: {"create": _PAID, "notify_payment": NOTICE_FAULTS["never"], "notify_refund": NOTICE_FAULTS["never"]},
    11: {"create": _PAID, "refund": CALL_FAULTS["refund_stuck"]},
    12: {"create": _PAID, "refund": CALL_FAULTS["refund_abnormal"]},
    13: {"create": _PAID},  # 13, 14 and 15 concern the bill (bills.py): they need a payment to stand on
    14: {"create": _PAID},
    15: {"create": _PAID},
    16: dict.fromkeys(("create", "barcode", "refund"), CALL_FAULTS["hang"]),
    17: dict.fromkeys(("create", "barcode", "refund"), CALL_FAULTS["slow_drip"]),
    18: dict.fromkeys(("create", "barcode", "refund"), CALL_FAULTS["unknown_but_done"]),
}

# For people: order, refund. "Paid" is: by the sandbox itself, a second after the order was created.
MEANINGS: Mapping[str, tuple[Any, Any]] = {
    "01": (_("paid"), ""),
    "02": (_("refused"), ""),
    "03": (_("the first call times out; paid"), _("the first call times out; done")),
    "04": (_("the first call times out; nothing done"), _("the first call times out; nothing done")),
    "05": (_("paid after it was closed"), ""),
    "06": (_("paid; five notifications at once"), _("five notifications at once")),
    "07": (_("paid; the notification comes before the answer"), ""),
    "08": (_("paid; the notification is one fen off"), _("the notification is one fen off")),
    "09": (_("paid; the notification is badly signed"), _("the notification is badly signed")),
    "10": (_("paid; no notification"), _("no notification")),
    "11": (_("paid"), _("stuck for a minute, then done")),
    "12": (_("paid"), _("the bank refuses it: ABNORMAL")),
    "13": (_("paid; the bill leaves the row out"), ""),
    "14": (_("paid; the bill has a stranger's row beside it"), ""),
    "15": (_("paid; the bill's fee is one fen off"), ""),
    "16": (_("hangs for ever, nothing done"), _("hangs for ever, nothing done")),
    "17": (_("answers one byte a second"), _("answers one byte a second")),
    "18": (_("the first call answers 500 after executing"), _("the first call answers 500 after executing")),
}


def by_amount(subject: Subject) -> Chosen | None:
    """What the amount asks for, or None."""
    value = subject.amount_fen % 100
    plan = TEST_VALUES.get(value, {}).get(subject.operation)
    if plan is None or (value in _FIRST_ONLY and subject.calls_before):
        return None
    name = f"test_value_{value:02d}"
    return Chosen(name=name, call=plan) if isinstance(plan, CallPlan) else Chosen(name=name, notice=plan)
