"""Who is calling: the checks before any business, in the order in which the live platform was seen to make them.

Headers, Authorization's form, timestamp, serial number, signature; then the body's own claims. Each has its message.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.http import HttpRequest

from sandbox import clock, crypto
from sandbox.identity import Merchant, PlatformKey
from sandbox.wechatpay import fields
from sandbox.wechatpay.errors import Refused, invalid_request, param_error, sign_error
from sandbox.wechatpay.signing import certificate_key, platform

SCHEME = "WECHATPAY2-SHA256-RSA2048"
TIMESTAMP_WINDOW_S = 300
SHOWN_BODY_BYTES = 8  # how much of the body the answer to a wrong signature repeats
_PART = re.compile(r'(mchid|nonce_str|signature|timestamp|serial_no)="([^"]+)"')
_PARTS = {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}
_PAY_PREFIXES = ("/v3/pay/transactions/", "/v3/pay/partner/transactions/")
_LABELS = {"mchid": "直连商户号", "sp_mchid": "服务商户号", "sub_mchid": "子商户号", "bill_date": "账单日期"}

HEADERS_MISSING = "Http头缺少Accept或User-Agent"
FORMAT_WRONG = "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
FORMAT_WRONG_PAY = "签名信息错误，验签失败"
SCHEME_WRONG = "Http头Authorization认证类型不正确"
TIMESTAMP_WRONG = "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
SERIAL_WRONG = "商户证书序列号有误。请使用签名私钥匹配的证书序列号"
SIGNATURE_WRONG = "签名错误"
MCHID_WRONG = "http header中的mchid与post payload中的mchid不匹配"
PLATFORM_SERIAL_WRONG = "平台证书序列号Wechatpay-Serial错误"
CONTENT_TYPE_WRONG = "Http头Content-Type错误，请设置为application/json"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """An authenticated request. `target` is path and query as they were sent; `answer_key` signs what we say."""

    request: HttpRequest
    method: str
    target: str
    merchant: Merchant
    answer_key: PlatformKey
    body: dict[str, Any]
    query: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class _Authorization:
    mchid: str
    nonce_str: str
    signature: str
    timestamp: str
    serial_no: str


def raw_target(request: HttpRequest) -> str:
    """The request target byte for byte: never rebuilt from decoded parts."""
    target = str(request.META["RAW_URI"])
    return target if target.startswith("/") else "/" + target.split("//", 1)[-1].partition("/")[2]


def authenticate(request: HttpRequest) -> Ask:
    """Steps 3 to 8. Raises Refused."""
    _check_headers(request)
    authorization = _read_authorization(request)
    _check_timestamp(authorization)
    merchant = _find_merchant(authorization)
    _check_signature(request, authorization, merchant)
    answer_key = _find_answer_key(request)
    body = _read_body(request)
    if any(body.get(name, authorization.mchid) != authorization.mchid for name in ("mchid", "sp_mchid")):
        raise param_error(MCHID_WRONG)
    return Ask(
        request=request,
        method=str(request.method),
        target=raw_target(request),
        merchant=merchant,
        answer_key=answer_key,
        body=body,
        query=_read_query(request),
    )


def claimed_mchid(request: HttpRequest) -> str:
    """The mchid in the Authorization header, unproven; for the call log."""
    found = re.search(r'mchid="([^"]{1,32})"', request.headers.get("Authorization", ""))
    return found.group(1) if found else ""


def require_query(ask: Ask, *names: str, optional: tuple[str, ...] = ()) -> None:
    """These query parameters must be there, and besides the optional ones no others. Raises Refused."""
    for name in names:
        if name not in ask.query:
            raise Refused(
                400,
                "PARAM_ERROR",
                f"输入源“/uri_template/{name}”映射到字段“{_LABELS[name]}”必填性规则校验失败，此字段为必填项",
                detail={"location": "uri_template", "value": ""},
            )
    allow_query(ask, *names, *optional)


def allow_query(ask: Ask, *names: str) -> None:
    """Only these query parameters may be there. Raises Refused."""
    for name in ask.query:
        if name not in names:
            raise param_error("请求中含有未在API文档中定义的参数", pointer=name, location="query")


def _check_headers(request: HttpRequest) -> None:
    if not request.headers.get("User-Agent", "").strip() or not _accepts_json(request.headers.get("Accept", "")):
        raise invalid_request(HEADERS_MISSING)


def _accepts_json(accept: str) -> bool:
    offered = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return bool(offered & {"application/json", "application/*", "*/*"})


def _read_authorization(request: HttpRequest) -> _Authorization:
    pay = request.path.startswith(_PAY_PREFIXES)
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme and scheme != SCHEME and not pay:
        raise sign_error(SCHEME_WRONG)
    matches = [_PART.fullmatch(part) for part in value.split(",")]
    parts = {match.group(1): match.group(2) for match in matches if match}
    well_formed = scheme == SCHEME and None not in matches and len(matches) == len(_PARTS) and set(parts) == _PARTS
    if not well_formed or not re.fullmatch(r"\d{1,10}", parts["timestamp"]) or len(parts["nonce_str"]) > 32:
        raise sign_error(FORMAT_WRONG_PAY if pay else FORMAT_WRONG)
    return _Authorization(**parts)


def _check_timestamp(authorization: _Authorization) -> None:
    if abs(clock.request_time() - int(authorization.timestamp)) > TIMESTAMP_WINDOW_S:
        raise sign_error(TIMESTAMP_WRONG)


def _find_merchant(authorization: _Authorization) -> Merchant:
    merchant = platform().merchant(authorization.mchid)
    if merchant is None or merchant.serial_no != authorization.serial_no:
        raise sign_error(SERIAL_WRONG)
    return merchant


def _check_signature(request: HttpRequest, authorization: _Authorization, merchant: Merchant) -> None:
    target = raw_target(request)
    message = crypto.request_message(
        method=str(request.method),
        target=target,
        timestamp=authorization.timestamp,
        nonce=authorization.nonce_str,
        body=request.body,
    )
    if crypto.verify(message, authorization.signature, key=merchant.public_key):
        return
    shown = message[: len(message) - len(request.body) - 1] + request.body[:SHOWN_BODY_BYTES] + b"\n"
    detail = {
        "detail": {"issue": "sign not match"},
        "field": "signature",
        "location": "authorization",
        "sign_information": {
            "method": request.method,
            "url": target,
            "truncated_sign_message": shown.decode(errors="replace"),
            "sign_message_length": len(message),
        },
    }
    refusal = sign_error(SIGNATURE_WRONG, detail=detail)
    refusal.canonical = message
    raise refusal


def _find_answer_key(request: HttpRequest) -> PlatformKey:
    """The key that the request names; without a name a platform certificate's, as before public keys existed."""
    name = request.headers.get("Wechatpay-Serial", "")
    key = platform().key(name) if name else certificate_key()
    if key is None:
        raise param_error(PLATFORM_SERIAL_WRONG)
    return key


def _read_body(request: HttpRequest) -> dict[str, Any]:
    if request.method == "GET":
        if request.body:
            raise param_error("GET请求不应包含请求体")
        return {}
    if request.content_type != "application/json":
        raise invalid_request(CONTENT_TYPE_WRONG)
    return fields.read_object(request.body)


def _read_query(request: HttpRequest) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(raw_target(request)).query, keep_blank_values=True)
    query = dict(pairs)
    if len(query) != len(pairs):
        raise param_error("请求参数重复")
    return query
