"""Speaks Alipay's gateway over HTTP: signs what it sends, believes only what is signed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from openplatform import transport
from payments.channels import certs
from payments.channels.alipay import certificates, signing
from payments.channels.alipay.reactions import GATEWAY, normal_code
from payments.channels.answers import BEIJING, Reaction, Refusal, clock_ahead_s, printable, refused
from payments.channels.asking import ask
from payments.channels.base import Accepted, AccountConfig, Rejected, TheirCertificate, Unknown
from payments.channels.rsa import NotAuthentic, UnknownKey

SUCCESS, IN_PROGRESS = "10000", "10003"
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_CERTIFICATE_SN = re.compile(r"[0-9a-f]{32}")


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
        certificate_asked: str = "",
    ) -> Answer | Refusal | Unknown:
        """One signed request. Ends within the account's deadline, whatever the peer does.

        `content` is the business content; `top_level` are parameters of methods that have none. `certificate_asked` is
        the number of one of their certificates: it may come with the very answer that is signed under it.
        """
        params = self._params(method, now=now, content=content, notify_url=notify_url) | dict(top_level or {})
        params["sign"] = signing.sign(
            signing.sorted_text(params, without=frozenset({"sign"})), pem=self.config.secrets["private_key_pem"]
        )
        body = urlencode({"biz_content": params.pop("biz_content", "")}) if content is not None else ""
        reply = ask(
            self.config, name=f"alipay {method}", method="POST",
            urls=[f"{self.settings['gateway']}?{urlencode(params, quote_via=quote)}"],
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}, body=body.encode(),
        )  # fmt: skip
        if isinstance(reply, Unknown):
            return reply
        node = f"{method.replace('.', '_')}_response"
        return self._read(reply, node=node, reactions=reactions, certificate_asked=certificate_asked, now=now)

    def verify_callback(self, params: Mapping[str, str], *, now: datetime) -> None:
        """Raises NotAuthentic unless Alipay signed this form."""
        signing.verify_callback(params, pem=self._their_key(params.get("alipay_cert_sn", ""), now=now))

    def fetch_certificate(
        self, serial: str, *, now: datetime
    ) -> Accepted[tuple[TheirCertificate, ...]] | Rejected | Unknown:
        """That one, or none: they do not know the number, or what they give is not theirs by our roots."""
        answer = self.call(
            "alipay.open.app.alipaycert.download", content={"alipay_cert_sn": serial}, reactions={},
            certificate_asked=serial, now=now,
        )  # fmt: skip
        if isinstance(answer, Refusal) and normal_code(answer.code) == "INVALID-ALIPAY-CERT-SN":
            return Accepted(facts=())
        if not isinstance(answer, Answer):
            return refused(answer)
        pem = certificates.content(answer.fields.get("alipay_cert_content"))
        if not pem or not certificates.trusted(pem, serial=serial, settings=self.settings, now=now):
            return Accepted(facts=())
        one = certs.read_all(pem)[0]
        found = TheirCertificate(
            serial=serial, pem=pem, not_before=one.not_valid_before_utc, not_after=one.not_valid_after_utc
        )
        return Accepted(facts=(found,))

    def key_wanted(self, error: Exception) -> str:
        """The number of the certificate that would have to be fetched to tell; "" when none would help."""
        if not isinstance(error, UnknownKey) or not self.settings.get("alipay_root_certificates"):
            return ""
        return error.serial if _CERTIFICATE_SN.fullmatch(error.serial) else ""

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

    def _their_key(self, certificate_sn: str, *, now: datetime, brought: str = "") -> str:
        """Their public key: the one, or in certificate mode that of the certificate that the message names."""
        keys: Mapping[str, str] = self.settings.get("alipay_keys") or {}
        if certificate_sn in keys:
            return keys[certificate_sn]
        for pem in (self.config.certificates().get(certificate_sn), brought) if certificate_sn else ():
            if pem and certificates.trusted(pem, serial=certificate_sn, settings=self.settings, now=now):
                return pem
        raise UnknownKey(certificate_sn)

    def _read(
        self,
        reply: transport.Reply,
        *,
        node: str,
        reactions: Mapping[str, Reaction],
        certificate_asked: str,
        now: datetime,
    ) -> Answer | Refusal | Unknown:
        if reply.status != 200:
            return Unknown(reason=f"HTTP {reply.status}", unwell=reply.status >= 500)
        try:
            body = reply.body.decode()
            envelope = json.loads(body)
            name = node if node in envelope else "error_response"
            text, value = signing.signed_part(body, node=name)
        except (ValueError, TypeError, RecursionError, NotAuthentic):
            return Unknown(reason="answer is no JSON of theirs", unwell=True)
        if isinstance(value, dict) and (late := _clocks_differ(value, reply, now=now)):
            return late
        if not isinstance(envelope, dict) or not envelope.get("sign"):
            return _read_unsigned(value)
        try:
            self._verify(envelope, text, value, certificate_asked=certificate_asked, now=now)
            fields = self._opened(value)
        except (NotAuthentic, ValueError, KeyError) as error:
            return Unknown(reason=f"answer not verified: {error}"[:100], key_wanted=self.key_wanted(error))
        return _read_signed(fields, reactions=reactions) if isinstance(fields, dict) else Unknown(reason="no object")

    def _verify(
        self, envelope: Mapping[str, Any], text: str, value: Any, *, certificate_asked: str, now: datetime
    ) -> None:
        """Raises NotAuthentic unless Alipay signed `text`, which says `value`."""
        sn, brought = _text(envelope, "alipay_cert_sn"), ""
        if sn and sn == certificate_asked and isinstance(fields := self._opened(value), dict):
            brought = certificates.content(fields.get("alipay_cert_content"))
        pem = self._their_key(sn, now=now, brought=brought)
        signing.verify(text, signature=str(envelope["sign"]), pem=pem)

    def _opened(self, value: Any) -> Any:
        """What a text says that is encrypted between us; anything else says itself."""
        return (
            json.loads(signing.decrypt(value, key=self.config.secrets["aes_key"])) if isinstance(value, str) else value
        )


def _clocks_differ(fields: Mapping[str, Any], reply: transport.Reply, *, now: datetime) -> Unknown | None:
    """Our time was refused, and it is a clock that is wrong, not the request."""
    if normal_code(_text(fields, "sub_code")) != "INVALID-TIMESTAMP":
        return None
    ahead_s = clock_ahead_s(reply.headers, now=now)
    return Unknown(reason=f"clocks differ by {abs(ahead_s)} s", clock_ahead_s=ahead_s) if ahead_s else None


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
