"""Test values: the last two digits of an amount in fen choose what happens, without any rule.

For an order the total decides, for a refund the refunded amount. Values that are not listed are ordinary: the payer
decides on the phone page. "First" means only the first call with that number; a re-send is treated in the ordinary way.
"""

from collections.abc import Mapping

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


def by_amount(subject: Subject) -> Chosen | None:
    """What the amount asks for, or None."""
    value = subject.amount_fen % 100
    plan = TEST_VALUES.get(value, {}).get(subject.operation)
    if plan is None or (value in _FIRST_ONLY and subject.calls_before):
        return None
    name = f"test_value_{value:02d}"
    return Chosen(name=name, call=plan) if isinstance(plan, CallPlan) else Chosen(name=name, notice=plan)
