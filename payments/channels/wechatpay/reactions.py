"""What WeChat Pay's error codes mean for each operation, as data.

Source: pay.weixin.qq.com/doc/v3/merchant/4012791858 and the pages of the other operations. Never branch on a message.
Only a code that is named here ends anything; every other answer is unknown and is asked about again.
"""

from payments.channels.answers import Reaction

_ACCOUNT = ("APPID_MCHID_NOT_MATCH", "MCH_NOT_EXISTS", "NO_AUTH", "SIGN_ERROR")
_MALFORMED = ("PARAM_ERROR", "INVALID_REQUEST")
_R = dict.fromkeys

CREATE = {
    **_R((*_MALFORMED, "RULE_LIMIT", "TRADE_ERROR", "OPENID_MISMATCH", "ORDER_CLOSED"), Reaction.REJECTED),
    **_R(_ACCOUNT, Reaction.ACCOUNT),
}
# A bar code that is refused for good; whatever is not here is asked about, and reversed in time.
PAY = CREATE | _R(
    ("AUTH_CODE_EXPIRED", "AUTH_CODE_ERROR", "AUTH_CODE_INVALID", "NOT_SUPPORT_CARD", "BUYER_MISMATCH"),
    Reaction.REJECTED,
)
QUERY = {"ORDER_NOT_EXIST": Reaction.NOT_FOUND}
CLOSE = {"ORDER_NOT_EXIST": Reaction.NOT_FOUND}
# A refund stays open on configuration trouble and on an empty account: the same number is sent again later.
REFUND = _R(
    (
        *_MALFORMED,
        *_ACCOUNT[:2],
        "ORDER_NOT_EXIST",
        "RESOURCE_NOT_EXISTS",
        "ACCOUNT_ERROR",
        "USER_ACCOUNT_ABNORMAL",
        "TRADE_ERROR",
    ),
    Reaction.REJECTED,
)
# Refused is refused: a person reads why, and nothing has moved.
REDIRECT = _R(
    (*_MALFORMED, "NO_AUTH", "RESOURCE_NOT_EXISTS", "ACCOUNT_ERROR", "USER_ACCOUNT_ABNORMAL"), Reaction.REJECTED
)
QUERY_REFUND = {"RESOURCE_NOT_EXISTS": Reaction.NOT_FOUND}
BILL = {
    "NO_STATEMENT_EXIST": Reaction.NOT_FOUND,  # nothing happened on that day
    "STATEMENT_CREATING": Reaction.NOT_YET,
    "NO_AUTH": Reaction.ACCOUNT,
}

# Older spellings of the same codes.
_SPELLINGS = {
    "RATELIMIT_EXCEEDED": "FREQUENCY_LIMITED",
    "FREQUENCY_LIMIT_EXCEED": "FREQUENCY_LIMITED",
}
_KNOWN = {
    code.replace("_", ""): code
    for table in (CREATE, PAY, QUERY, CLOSE, REFUND, REDIRECT, QUERY_REFUND, BILL)
    for code in table
} | {
    code.replace("_", ""): code
    for code in ("SYSTEM_ERROR", "BANK_ERROR", "NOT_ENOUGH", "USER_PAYING", "FREQUENCY_LIMITED", "OUT_TRADE_NO_USED")
}  # fmt: skip


def normal_code(code: str) -> str:
    """`ORDERNOTEXIST` and `ORDER_NOT_EXIST` are one code; an unknown one comes back as it is."""
    code = _SPELLINGS.get(code, code)
    return _KNOWN.get(code.replace("_", ""), code)
