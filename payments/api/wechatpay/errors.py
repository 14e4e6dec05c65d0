"""Our refusals in WeChat Pay's words. Source: pay.weixin.qq.com/doc/v3/merchant/4012791858 and the other operations."""

import logging
from collections.abc import Mapping
from typing import Any

from django.utils.log import log_response
from rest_framework.response import Response

from openplatform import problems
from openplatform.signature import WECHATPAY_SCHEME

logger = logging.getLogger(__name__)

# Their code: HTTP status and what we say beside it. Clients decide by status and code, never by the text.
WORDS: Mapping[str, tuple[int, str]] = {
    "APPID_MCHID_NOT_MATCH": (400, "appid 不是该商户渠道账户的 appid"),
    "FREQUENCY_LIMITED": (429, "请求过于频繁，请稍后再试"),
    "INVALID_REQUEST": (400, "请求不符合规则"),
    "MCH_NOT_EXISTS": (400, "渠道不认识该商户"),
    "NO_AUTH": (403, "无权使用此接口，或渠道账户尚未开通"),
    "OPENID_MISMATCH": (500, "openid 与 appid 不匹配"),
    "ORDER_CLOSED": (400, "订单已关闭"),
    "ORDER_NOT_EXIST": (404, "订单不存在"),
    "ORDER_PAID": (400, "订单已支付"),
    "OUT_TRADE_NO_USED": (403, "商户订单号重复"),
    "PARAM_ERROR": (400, "参数错误"),
    "RESOURCE_NOT_EXISTS": (404, "记录不存在"),
    "RULE_LIMIT": (403, "渠道的业务规则限制"),
    "SIGN_ERROR": (401, "签名错误：请检查 mchid、serial_no、时间、随机串与签名"),
    "SYSTEM_ERROR": (500, "结果未知，请用相同参数重试或查询"),
    "TRADE_ERROR": (403, "渠道拒绝交易"),
}
# The method, the length, the size and the media type have no code of their own.
SAID_BY_STATUS = frozenset({405, 411, 413, 415})
# What the channel may say to a create. Whatever else it says, such as that our signature is wrong, is not about them.
CHANNEL_CODES = frozenset(
    {
        "APPID_MCHID_NOT_MATCH", "INVALID_REQUEST", "MCH_NOT_EXISTS", "NO_AUTH", "OPENID_MISMATCH", "ORDER_CLOSED",
        "PARAM_ERROR", "RULE_LIMIT", "TRADE_ERROR",
    }
)  # fmt: skip
# Our code: theirs, and a text where their usual one says too little. A view may know better: its `refusals`.
TRANSLATED: Mapping[str, tuple[str, str]] = {
    "APP_DISABLED": ("NO_AUTH", "应用或商户已停用"),
    "BLACKLISTED": ("NO_AUTH", "请求被拒绝"),
    "CHANNEL_NOT_AVAILABLE": ("NO_AUTH", "商户没有可用的微信支付渠道账户"),
    "IP_NOT_ALLOWED": ("NO_AUTH", "来源地址不在应用的允许列表内"),
    "NOTIFY_HOST_NOT_REGISTERED": ("INVALID_REQUEST", "notify_url 的域名没有为该应用登记"),
    "ORDER_AMOUNT_DIFFERS": ("INVALID_REQUEST", "订单金额或退款金额与之前请求不一致"),
    "OUT_REFUND_NO_REUSED": ("INVALID_REQUEST", "订单金额或退款金额与之前请求不一致"),
    "OUT_TRADE_NO_REUSED": ("OUT_TRADE_NO_USED", ""),
    "RATE_LIMITED": ("FREQUENCY_LIMITED", ""),
    "REFUND_EXCEEDS_PAID": ("INVALID_REQUEST", "累计退款金额大于订单支付金额"),
    "REPLAYED_NONCE": ("SIGN_ERROR", "nonce_str 已经用过，请换一个重新签名"),
    "TRY_LATER": ("SYSTEM_ERROR", "暂时无法处理，请用相同参数重试"),
}
# For a code of the gate that nobody has translated.
BY_STATUS: Mapping[int, str] = {401: "SIGN_ERROR", 403: "NO_AUTH", 404: "RESOURCE_NOT_EXISTS", 429: "FREQUENCY_LIMITED"}


class Refused(Exception):
    """A refusal by one of their codes."""

    def __init__(self, code: str, message: str = "", *, detail: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.code, self.message, self.detail = code, message, detail


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """The framework's hook of these views. What a refusal is, and what is logged, is decided where all others are."""
    if isinstance(error, Refused):
        return _refusal(error, request=context["request"])
    answer = problems.exception_handler(error, context)
    refused = _translated(answer, context["view"].refusals)
    if answer.status_code not in SAID_BY_STATUS:
        answer.status_code = WORDS[refused.code][0]
    answer.data, answer.content_type = _document(refused), "application/json"
    if "WWW-Authenticate" in answer.headers:
        answer.headers["WWW-Authenticate"] = WECHATPAY_SCHEME
    return answer


def _refusal(refused: Refused, *, request: Any) -> Response:
    answer = Response(_document(refused), status=WORDS[refused.code][0])
    # Said here, for Django takes every 500 for a defect; this one is an answer like any other.
    log_response("%s", refused.code, response=answer, request=request, logger=logger, level="info")
    return answer


def channel_refusal(failure_code: str) -> Refused:
    """Why the channel would not have the order, in its own words where they are about the merchant's request."""
    return Refused(failure_code if failure_code in CHANNEL_CODES else "TRADE_ERROR")


def _translated(answer: Response, of_view: Mapping[str, tuple[str, str]]) -> Refused:
    ours = str(answer.data["code"])
    code, message = of_view.get(ours) or TRANSLATED.get(ours) or (ours, "")
    if code not in WORDS:
        code = "SYSTEM_ERROR" if answer.status_code >= 500 else BY_STATUS.get(answer.status_code, "INVALID_REQUEST")
    if code in {"PARAM_ERROR", "INVALID_REQUEST", "SIGN_ERROR"}:
        return Refused(code, message, detail=_detail(answer.data))
    return Refused(code, message)


def _detail(problem: Mapping[str, Any]) -> dict[str, str]:
    """Which field, and what is wrong with it; for a request that is malformed as a whole what we say of it."""
    for error in problem["errors"]:
        return {"location": "body", "field": "/" + error["field"].replace(".", "/"), "issue": error["reason"]}
    return {"issue": problem["detail"]}


def _document(refused: Refused) -> dict[str, Any]:
    message = refused.message or WORDS[refused.code][1]
    field = (refused.detail or {}).get("field", "")
    document: dict[str, Any] = {"code": refused.code, "message": f"{message}：{field}" if field else message}
    return document | {"detail": dict(refused.detail)} if refused.detail else document
