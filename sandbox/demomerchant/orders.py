"""What the shop has on file about its orders: the amount that it asked for, to compare with the one that was paid.

This demo keeps no orders, so it knows the amounts of fenpay's test orders only, whose numbers say them
(FENPAYTEST_<fen>_<anything>). A real shop looks its own orders up here, and the test orders like this.
"""

import re
from typing import Any

_TEST_EVENT_IDS = "test_"
_TEST_ORDER = re.compile(r"FENPAYTEST_([1-9][0-9]{0,11})_[A-Za-z0-9_]+")


def is_test(event: dict[str, Any]) -> bool:
    """Whether fenpay has made the event up. It says so twice; who believes either mark ships nothing by mistake."""
    return event.get("test") is True or event["event_id"].startswith(_TEST_EVENT_IDS)


def amount_is_right(event: dict[str, Any]) -> bool:
    """Whether the order that `event` is about has that amount on our file; True for orders that are not there."""
    data = event["data"]
    expected = _amount_on_file_fen(str(data.get("out_trade_no", "")), is_test=is_test(event))
    is_of_order = event["type"].startswith("order.")  # a refund's amount is its own
    return expected is None or not is_of_order or data.get("amount_fen") == expected


def _amount_on_file_fen(out_trade_no: str, *, is_test: bool) -> int | None:
    match = _TEST_ORDER.fullmatch(out_trade_no) if is_test else None
    return int(match[1]) if match else None
