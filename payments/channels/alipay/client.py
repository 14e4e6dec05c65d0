"""Speaks Alipay's gateway over HTTP: signs what it sends, believes only what is signed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from opentelemetry.trace import SpanKind

from openplatform import transport
from openplatform.tracing import span
from payments.channels.alipay import signing
from payments.channels.alipay.reactions import GATEWAY, normal_code
from payments.channels.answers import BEIJING, RESPONSE_BYTES_MAX, Reaction, Refusal, printable
from payments.channels.base import AccountConfig, Unknown

SUCCESS, IN_PROGRESS = "10000", "10003"
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,80}")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A verified answer with code 10000, 10003 or none; `fields` is the node's content."""

    code: str
    fields: dict[str, Any]


class AlipayClient:
    """One app at Alipay; docs/deploy.md lists what its settings and secrets hold."""

    def __init__(self, config: AccountConfig) -> None:
        self.config = config
        self.settings = config.settings

    def call(
        self,
        method: str,
        *,
        reactions: Mapping[str, Reaction],
        now: datetime,
        content: Mapping[str, Any] | None = None,
        notify_url: str = "",
        top_level: Mapping[str, str] | None = None,
    ) -> Answer | Refusal | Unknown:
        """One signed request. Ends within the account's deadline, whatever the peer does.

        `content` is the business content; `top_level` are parameters of methods that have none.
        """
        params = self._params(method, now=now, content=content, notify_url=notify_url) | dict(top_level or {})
        params["sign"] = signing.sign(
            signing.sorted_text(params, without=frozenset({"sign"})), pem=self.config.secrets["private_key_pem"]
        )
        body = urlencode({"biz_content": params.pop("biz_content", "")}) if content is not None else ""
        with span(f"alipay {method}", kind=SpanKind.CLIENT) as current:
            try:
                reply = transport.send(
                    method="POST",
                    url=f"{self.settings['gateway']}?{urlencode(params, quote_via=quote)}",
                    headers={"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"},
                    body=body.encode(),
                    deadline_s=self.config.deadline_s,
                    connect_s=self.config.connect_s,
                    bytes_max=RESPONSE_BYTES_MAX,
                    private_hosts=self.config.private_hosts,
                )
            except transport.TransportError as error:
                current.set_attribute("fenpay.unknown", error.reason)
                return Unknown(reason=error.reason, sent=isinstance(error, transport.NoAnswer), unwell=True)
            current.set_attribute("http.response.status_code", reply.status)
            return self._read(reply, node=f"{method.replace('.', '_')}_response", reactions=reactions)

    def verify_callback(self, params: Mapping[str, str]) -> None:
        """Raises signing.NotAuthentic unless Alipay signed this form."""
        signing.verify_callback(params, pem=self._their_key(params.get("alipay_cert_sn", "")))

    def _params(
        self, method: str, *, now: datetime, content: Mapping[str, Any] | None, notify_url: str
    ) -> dict[str, str]:
        params = {
            "app_id": self.settings["app_id"],
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": now.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
            "version": "1.0",
        }
        for name in ("app_cert_sn", "alipay_root_cert_sn"):
            if value := self.settings.get(name):
                params[name] = value
        if token := self.config.secrets.get("app_auth_token"):  # of a merchant that lets us act for it
            params["app_auth_token"] = token
        if notify_url:
            params["notify_url"] = notify_url
        if content is not None:
            text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
            if key := self.config.secrets.get("aes_key"):
                params |= {"encrypt_type": "AES", "biz_content": signing.encrypt(text, key=key)}
            else:
                params["biz_content"] = text
        return params

    def _their_key(self, certificate_sn: str) -> str:
        """Their public key: the one, or in certificate mode that of the certificate that the message names."""
        keys: Mapping[str, str] = self.settings["alipay_keys"]
        pem = keys.get(certificate_sn)
        if pem is None:
            raise signing.NotAuthentic("unknown certificate number")
        return pem

    def _read(
        self, reply: transport.Reply, *, node: str, reactions: Mapping[str, Reaction]
    ) -> Answer | Refusal | Unknown:
        if reply.status != 200:
            return Unknown(reason=f"HTTP {reply.status}", unwell=reply.status >= 500)
        try:
            body = reply.body.decode()
            envelope = json.loads(body)
            name = node if node in envelope else "error_response"
            text, value = signing.signed_part(body, node=name)
        except (ValueError, TypeError, RecursionError, signing.NotAuthentic):
            return Unknown(reason="answer is no JSON of theirs", unwell=True)
        if not isinstance(envelope, dict) or not envelope.get("sign"):
            return _read_unsigned(value)
        try:
            signing.verify(
                text, signature=str(envelope["sign"]), pem=self._their_key(_text(envelope, "alipay_cert_sn"))
            )
            if isinstance(value, str):
                value = json.loads(signing.decrypt(value, key=self.config.secrets["aes_key"]))
        except (signing.NotAuthentic, ValueError, KeyError) as error:
            return Unknown(reason=f"answer not verified: {error}"[:100])
        return _read_signed(value, reactions=reactions) if isinstance(value, dict) else Unknown(reason="no object")


def _read_signed(fields: dict[str, Any], *, reactions: Mapping[str, Reaction]) -> Answer | Refusal | Unknown:
    code, sub_code = _text(fields, "code"), normal_code(_text(fields, "sub_code"))
    if code in {SUCCESS, IN_PROGRESS} or not code:  # the token's answer has no code when it is good
        return Answer(code=code or SUCCESS, fields=fields)
    reaction = GATEWAY.get(code) or reactions.get(sub_code, Reaction.UNKNOWN)
    shown = sub_code if _CODE.fullmatch(sub_code) else code
    if reaction is Reaction.UNKNOWN:
        return Unknown(reason=f"{code} {shown}"[:100], unwell=code == "20000" or sub_code == "ACQ.SYSTEM_ERROR")
    return Refusal(reaction=reaction, code=shown, message=printable(_text(fields, "sub_msg")))


def _read_unsigned(value: Any) -> Refusal | Unknown:
    """Success without a signature is none. Only what the gateway refuses before any business counts."""
    fields = value if isinstance(value, dict) else {}
    code, sub_code = _text(fields, "code"), _text(fields, "sub_code")
    reaction = GATEWAY.get(code)
    if reaction is None:
        return Unknown(reason=f"unsigned answer {code if _CODE.fullmatch(code) else ''}".strip())
    shown = sub_code if _CODE.fullmatch(sub_code) else code
    return Refusal(reaction=reaction, code=shown, message=printable(_text(fields, "sub_msg")))


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name, "")
    return value if isinstance(value, str) else ""
