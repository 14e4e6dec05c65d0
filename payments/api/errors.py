"""HTTP for our refusals: the only place in payments that knows a status code for a named error."""

from typing import Any

from openplatform.problems import Problem, translate
from payments.errors import PaymentsError

STATUS_BY_CODE = {
    "CASE_OF_ANOTHER_KIND": 409,
    "CASE_RESOLVED": 409,
    "APPID_MCHID_NOT_MATCH": 400,
    "BLACKLISTED": 403,
    "CHANNEL_NOT_AVAILABLE": 422,
    "CHANNEL_REJECTED": 422,
    "INVALID_REQUEST": 400,
    "INVALID_STATE": 409,
    "MODEL_CHANNEL_NOT_ALLOWED": 422,
    "NOTIFY_HOST_NOT_REGISTERED": 422,
    "NOT_FOUND": 404,
    "ORDER_AMOUNT_DIFFERS": 409,
    "OTHER_ACCOUNT_ACTIVE": 409,
    "OUT_REFUND_NO_REUSED": 422,
    "OUT_TRADE_NO_REUSED": 422,
    "PARAM_ERROR": 400,
    "PAYER_UNKNOWN": 422,
    "REDIRECT_REFUSED": 409,
    "REDIRECT_UNKNOWN": 409,
    "REFUND_EXCEEDS_PAID": 409,
    "REFUND_NOT_ABNORMAL": 409,
}


class ChannelRejected(PaymentsError):
    """The channel refused the order for good; `order` says why. A new try needs a new out_trade_no."""

    code = "CHANNEL_REJECTED"

    def __init__(self, *, order: dict[str, Any]) -> None:
        super().__init__()
        self.order = order


@translate(PaymentsError)
def problem_of(error: PaymentsError) -> Problem:
    """A domain refusal as problem+json."""
    extra = {"order": error.order} if isinstance(error, ChannelRejected) else {}
    return Problem(status=STATUS_BY_CODE[error.code], code=error.code, detail=str(error), extra=extra)
