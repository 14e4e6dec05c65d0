"""Speaks WeChat Pay APIv3 over HTTP: signs what it sends, believes only what is signed."""

import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from opentelemetry.trace import SpanKind

from openplatform import transport
from openplatform.tracing import span
from payments.channels.answers import RESPONSE_BYTES_MAX, Reaction, Refusal, printable
from payments.channels.base import AccountConfig, Unknown
from payments.channels.wechatpay import signing
from payments.channels.wechatpay.reactions import normal_code

_CODE = re.compile(r"[A-Z0-9_]{1,64}")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A verified 2xx answer; `fields` is empty for 204. 202 says that they are still at it."""

    status: int
    fields: dict[str, Any]


class WechatpayClient:
    """One merchant account; docs/deploy.md lists what its settings and secrets hold."""

    def __init__(self, config: AccountConfig) -> None:
        self.config = config
        self.settings = config.settings

    def call(
        self,
        *,
        method: str,
        path: str,
        reactions: Mapping[str, Reaction],
        now: datetime,
        query: Mapping[str, str] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> Answer | Refusal | Unknown:
        """One signed request. Ends within the account's deadline, whatever the peer does."""
        target = f"{path}?{urlencode(query)}" if query else path
        body = b"" if fields is None else json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
        headers = self._headers(method=method, target=target, body=body, now=now)
        with span(f"wechatpay {method} {path.rsplit('/', 1)[0]}", kind=SpanKind.CLIENT) as current:
            try:
                reply = self._send(method=method, target=target, headers=headers, body=body)
            except transport.TransportError as error:
                current.set_attribute("fenpay.unknown", error.reason)
                return Unknown(reason=error.reason, sent=isinstance(error, transport.NoAnswer), unwell=True)
            current.set_attribute("http.response.status_code", reply.status)
            return self._read(reply, reactions=reactions, now=now)

    def _send(self, *, method: str, target: str, headers: Mapping[str, str], body: bytes) -> transport.Reply:
        """To their host, and to the second one when certainly nothing reached the first: within one deadline."""
        ends_at = time.monotonic() + self.config.deadline_s

        def send_to(host: str, *, deadline_s: float) -> transport.Reply:
            return transport.send(
                method=method, url=f"{host}{target}", headers=headers, body=body, deadline_s=deadline_s,
                connect_s=self.config.connect_s, bytes_max=RESPONSE_BYTES_MAX, private_hosts=self.config.private_hosts,
            )  # fmt: skip

        try:
            return send_to(self.settings["api_base"], deadline_s=self.config.deadline_s)
        except transport.NotSent:
            backup, left_s = self.settings.get("backup_api_base"), ends_at - time.monotonic()
            if not backup or left_s <= 0:
                raise
            return send_to(backup, deadline_s=left_s)

    def verify(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """Raises signing.NotAuthentic unless WeChat Pay signed `body`."""
        signing.verify(headers=headers, body=body, keys=self.settings["platform_keys"], now=now)

    def sign_for_page(self, *, app_id: str, package: str, now: datetime) -> dict[str, str]:
        """The six values for getBrandWCPayRequest, signed at `now`."""
        timestamp, nonce = str(int(now.timestamp())), secrets.token_hex(16)
        signature = signing.page_signature(
            app_id=app_id, timestamp=timestamp, nonce=nonce, package=package, pem=self.config.secrets["private_key_pem"]
        )
        return {
            "appId": app_id, "timeStamp": timestamp, "nonceStr": nonce, "package": package, "signType": "RSA",
            "paySign": signature,
        }  # fmt: skip

    def sign_for_app(self, *, app_id: str, prepay_id: str, now: datetime) -> dict[str, str]:
        """The seven values for the app's SDK, which signs the bare prepay_id and writes its names in lower case."""
        timestamp, nonce = str(int(now.timestamp())), secrets.token_hex(16)
        signature = signing.page_signature(
            app_id=app_id, timestamp=timestamp, nonce=nonce, package=prepay_id,
            pem=self.config.secrets["private_key_pem"],
        )  # fmt: skip
        return {
            "appid": app_id, "partnerid": self.settings.get("sub_mchid") or self.settings["mchid"],
            "prepayid": prepay_id, "package": "Sign=WXPay", "noncestr": nonce, "timestamp": timestamp,
            "sign": signature,
        }  # fmt: skip

    def _headers(self, *, method: str, target: str, body: bytes, now: datetime) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Authorization": signing.authorization(
                method=method, target=target, body=body, timestamp=int(now.timestamp()), nonce=secrets.token_hex(16),
                mchid=self.settings["mchid"], serial_no=self.settings["merchant_serial_no"],
                pem=self.config.secrets["private_key_pem"],
            ),
        }  # fmt: skip
        if body:
            headers["Content-Type"] = "application/json"
        if serial := self.settings.get("answer_key_serial"):
            headers["Wechatpay-Serial"] = serial  # names the key that the answer is to be signed with
        return headers

    def _read(
        self, reply: transport.Reply, *, reactions: Mapping[str, Reaction], now: datetime
    ) -> Answer | Refusal | Unknown:
        if not 200 <= reply.status < 300:
            return _read_error(reply, reactions=reactions)
        try:
            self.verify(headers=reply.headers, body=reply.body, now=now)
        except signing.NotAuthentic as error:
            return Unknown(reason=f"answer not verified: {error}")
        if reply.status == 204:
            return Answer(status=204, fields={})
        fields = _json_object(reply.body)
        if fields is None:
            return Unknown(reason=f"HTTP {reply.status} without an object")
        return Answer(status=reply.status, fields=fields)


def _read_error(reply: transport.Reply, *, reactions: Mapping[str, Reaction]) -> Refusal | Unknown:
    """Errors are not signed, so only a named code in a well-formed body says anything definite."""
    fields = _json_object(reply.body) or {}
    said = str(fields.get("code", ""))
    code = normal_code(said) if _CODE.fullmatch(said) else ""
    reaction = reactions.get(code, Reaction.UNKNOWN)
    if reaction is Reaction.UNKNOWN:
        is_theirs = reply.status >= 500 and code != "BANK_ERROR"  # the payer's bank is in trouble, not they
        return Unknown(reason=f"HTTP {reply.status} {code}".strip(), unwell=is_theirs)
    return Refusal(reaction=reaction, code=code, message=printable(str(fields.get("message", ""))))


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None
