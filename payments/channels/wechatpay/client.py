"""Speaks WeChat Pay APIv3 over HTTP: signs what it sends, believes only what is signed."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO
from urllib.parse import urlencode, urlsplit

from opentelemetry.trace import SpanKind

from openplatform import transport
from openplatform.tracing import span
from payments.channels.answers import Reaction, Refusal, clock_ahead_s, printable
from payments.channels.asking import ask, both_hosts
from payments.channels.base import AccountConfig, Unknown
from payments.channels.rsa import NotAuthentic, UnknownKey
from payments.channels.wechatpay import signing
from payments.channels.wechatpay.keyring import Keyring, may_be_fetched
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
        self.keyring = Keyring(config)

    def call(
        self,
        *,
        method: str,
        path: str,
        reactions: Mapping[str, Reaction],
        now: datetime,
        query: Mapping[str, str] | None = None,
        fields: Mapping[str, Any] | None = None,
        key_serial: str = "",
    ) -> Answer | Refusal | Unknown:
        """One signed request. Ends within the account's deadline, whatever the peer does.

        `key_serial` names the key of theirs under which fields of it are encrypted.
        """
        body = b"" if fields is None else json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
        target = f"{path}?{urlencode(query)}" if query else path
        reply = self.exchange(method=method, target=target, body=body, now=now, key_serial=key_serial)
        return reply if isinstance(reply, Unknown) else self.read(reply, reactions=reactions, now=now)

    def exchange(
        self, *, method: str, target: str, now: datetime, body: bytes = b"", key_serial: str = ""
    ) -> transport.Reply | Unknown:
        """One signed request and what came back, which is not shown to be theirs yet."""
        headers = self._headers(method=method, target=target, body=body, now=now, key_serial=key_serial)
        return ask(
            self.config, name=f"wechatpay {method} {target.partition('?')[0].rsplit('/', 1)[0]}", method=method,
            urls=both_hosts(self.config, target), headers=headers, body=body,
        )  # fmt: skip

    def download(self, url: str, *, into: BinaryIO, now: datetime) -> Unknown | None:
        """Write the file at an address that they have named into `into`. None when it is there.

        The answer bears no signature, and our own goes to no other host than theirs: anything else is not asked for.
        """
        base = self._base_of(url)
        if base is None:
            return Unknown(reason="download address of another host", sent=False)
        target = url[len(base) :]
        headers = self._headers(method="GET", target=target, body=b"", now=now, key_serial="")
        with span("wechatpay GET bill file", kind=SpanKind.CLIENT):
            try:
                reply = transport.send(
                    method="GET", url=url, headers=headers, deadline_s=self.config.bills.deadline_s,
                    connect_s=self.config.connect_s, bytes_max=self.config.bills.bytes_max,
                    private_hosts=self.config.private_hosts, into=into,
                )  # fmt: skip
            except (transport.TransportError, ValueError) as error:
                return Unknown(reason=f"file: {getattr(error, 'reason', 'address malformed')}")
        return None if reply.status == 200 else Unknown(reason=f"file: HTTP {reply.status}")

    def _base_of(self, url: str) -> str | None:
        """Which of our own settings' hosts `url` is at: over TLS, or inside our own network where that was allowed."""
        bases = (self.settings["api_base"], self.settings.get("backup_api_base"))
        base = next((base for base in bases if base and url.startswith(f"{base}/")), None)
        is_private = base is not None and urlsplit(base).netloc in self.config.private_hosts
        return base if is_private or (base or "").startswith("https://") else None

    def verify(
        self, *, headers: Mapping[str, str], body: bytes, now: datetime, brought: Mapping[str, str] | None = None
    ) -> None:
        """Raises NotAuthentic unless WeChat Pay signed `body`. `brought` are keys that came with it."""
        keys = self.keyring.named(headers.get("Wechatpay-Serial", ""), now=now)
        signing.verify(headers=headers, body=body, keys=keys or brought or {}, now=now)

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

    def _headers(self, *, method: str, target: str, body: bytes, now: datetime, key_serial: str = "") -> dict[str, str]:
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
        if serial := key_serial or self.settings.get("answer_key_serial"):
            headers["Wechatpay-Serial"] = serial  # names the key that the answer is to be signed with
        return headers

    def read(
        self,
        reply: transport.Reply,
        *,
        reactions: Mapping[str, Reaction],
        now: datetime,
        brought: Mapping[str, str] | None = None,
    ) -> Answer | Refusal | Unknown:
        """What came back, once it is shown to be theirs; see `verify` for `brought`."""
        if not 200 <= reply.status < 300:
            return _read_error(reply, reactions=reactions, now=now)
        try:
            self.verify(headers=reply.headers, body=reply.body, now=now, brought=brought)
        except NotAuthentic as error:
            return _not_verified(error, headers=reply.headers, now=now)
        if reply.status == 204:
            return Answer(status=204, fields={})
        fields = _json_object(reply.body)
        if fields is None:
            return Unknown(reason=f"HTTP {reply.status} without an object")
        return Answer(status=reply.status, fields=fields)


def key_wanted(error: NotAuthentic) -> str:
    """The serial number of the certificate that would have to be fetched to tell; "" when none would help."""
    return error.serial if isinstance(error, UnknownKey) and may_be_fetched(error.serial) else ""


def _not_verified(error: NotAuthentic, *, headers: Mapping[str, str], now: datetime) -> Unknown:
    ahead_s = clock_ahead_s(headers, now=now) if isinstance(error, signing.StaleTime) else 0
    return Unknown(reason=f"answer not verified: {error}", key_wanted=key_wanted(error), clock_ahead_s=ahead_s)


def _read_error(
    reply: transport.Reply, *, reactions: Mapping[str, Reaction], now: datetime
) -> Refusal | Unknown:  # fmt: skip
    """Errors are not signed, so only a named code in a well-formed body says anything definite."""
    fields = _json_object(reply.body) or {}
    said = str(fields.get("code", ""))
    code = normal_code(said) if _CODE.fullmatch(said) else ""
    if code == "SIGN_ERROR" and (ahead_s := clock_ahead_s(reply.headers, now=now)):
        return Unknown(reason=f"{code}: clocks differ by {abs(ahead_s)} s", clock_ahead_s=ahead_s)
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
