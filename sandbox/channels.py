"""The channels side by side, as data: how each names its numbers, what it tells whom, how it repeats itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sandbox.alipay import notices as alipay
from sandbox.models import ALIPAY, UNIONPAY, WECHATPAY, Notification, PayOrder
from sandbox.unionpay import notices as unionpay
from sandbox.wechatpay import notices as wechatpay


@dataclass(frozen=True, kw_only=True)
class Channel:
    """`letter` gives body and headers of one attempt, flawed as named; `accepts` looks at (status, body)."""

    trade_no: Callable[[PayOrder, datetime], str]
    owe_payment: Callable[..., None]
    owe_refund: Callable[..., None]
    owe_end: Callable[..., None]
    letter: Callable[[Notification, str], tuple[bytes, Mapping[str, str]]]
    accepts: Callable[[int, str], bool]
    repeat_after_s: tuple[int, ...]


def _nothing(order: PayOrder, *, now: datetime) -> None:
    """Only success is told."""


CHANNELS: Mapping[str, Channel] = {
    WECHATPAY: Channel(
        trade_no=wechatpay.trade_no,
        owe_payment=wechatpay.owe_payment,
        owe_refund=wechatpay.owe_refund,
        owe_end=_nothing,
        letter=wechatpay.letter,
        accepts=lambda status, _body: status in {200, 204},
        repeat_after_s=wechatpay.REPEAT_AFTER_S,
    ),
    ALIPAY: Channel(
        trade_no=alipay.trade_no,
        owe_payment=alipay.owe_payment,
        owe_refund=alipay.owe_refund,
        owe_end=alipay.owe_end,
        letter=alipay.letter,
        accepts=lambda status, body: status == 200 and body == "success",
        repeat_after_s=alipay.REPEAT_AFTER_S,
    ),
    UNIONPAY: Channel(
        trade_no=unionpay.trade_no,
        owe_payment=unionpay.owe_payment,
        owe_refund=unionpay.owe_refund,
        owe_end=_nothing,
        letter=unionpay.letter,
        accepts=lambda status, body: status == 200 and body == "success",
        repeat_after_s=unionpay.REPEAT_AFTER_S,
    ),
}
