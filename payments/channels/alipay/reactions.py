"""What Alipay's codes mean for each operation, as data.

Source: opendocs.alipay.com/common/02km9f (public codes) and the page of each operation. Never branch on a message.
Only a code that is named here ends anything; every other answer is unknown and is asked about again.
"""

from payments.channels.answers import Reaction

_R = dict.fromkeys
# Codes of the gateway itself, before any business: nothing was executed. Only these count without a signature.
GATEWAY = {
    **_R(("40001", "40003"), Reaction.REJECTED),
    **_R(("20001", "40002", "40006"), Reaction.ACCOUNT),
}
_ACCOUNT = ("ACQ.ACCESS_FORBIDDEN", "ACQ.PARTNER_ERROR")
_CREATE = (
    "ACQ.INVALID_PARAMETER", "ACQ.BUYER_SELLER_EQUAL", "ACQ.TOTAL_FEE_EXCEED", "ACQ.EXIST_FORBIDDEN_WORD",
    "ACQ.TRADE_HAS_CLOSE",
)  # fmt: skip
CREATE = {**_R(_CREATE, Reaction.REJECTED), **_R(_ACCOUNT, Reaction.ACCOUNT)}
PAY = CREATE | _R(
    (
        "ACQ.PAYMENT_AUTH_CODE_INVALID", "ACQ.BUYER_BALANCE_NOT_ENOUGH", "ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH",
        "ACQ.PAYMENT_FAIL", "ACQ.PULL_MOBILE_CASHIER_FAIL", "ACQ.ERROR_BALANCE_PAYMENT_DISABLE",
        "ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR", "ACQ.BEYOND_PAY_RESTRICTION", "ACQ.BUYER_ENABLE_STATUS_FORBID",
        "ACQ.BUYER_NOT_EXIST", "ACQ.NO_PAYMENT_INSTRUMENTS_AVAILABLE",
    ),
    Reaction.REJECTED,
)  # fmt: skip
QUERY = {"ACQ.TRADE_NOT_EXIST": Reaction.NOT_FOUND}
CLOSE = {"ACQ.TRADE_NOT_EXIST": Reaction.NOT_FOUND}
# A refund stays open on an empty account: the same number is sent again later.
REFUND = _R(
    (
        "ACQ.INVALID_PARAMETER", "ACQ.TRADE_NOT_EXIST", "ACQ.REASON_TRADE_REFUND_FEE_ERR",
        "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "ACQ.TRADE_HAS_FINISHED", "ACQ.TRADE_NOT_ALLOW_REFUND",
        "ACQ.DISCORDANT_REPEAT_REQUEST", *_ACCOUNT,
    ),
    Reaction.REJECTED,
)  # fmt: skip
QUERY_REFUND = {"ACQ.TRADE_NOT_EXIST": Reaction.NOT_FOUND}
BILL = {"BILL_NOT_EXIST": Reaction.NOT_FOUND, "INVAILID_ARGUMENTS": Reaction.REJECTED}
NOTHING: dict[str, Reaction] = {}


def normal_code(sub_code: str) -> str:
    """`AQC.SYSTEM_ERROR` is a slip of theirs; the bill's codes come with and without `isv.` or `isp.`, in any case."""
    code = sub_code.strip().upper().replace("AQC.", "ACQ.", 1)
    return code.removeprefix("ISV.").removeprefix("ISP.")
