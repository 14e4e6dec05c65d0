"""Maps WeChat Pay APIv3 to our words. Fields and limits: pay.weixin.qq.com/doc/v3/merchant/4012791856 and following."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from openplatform import transport
from payments.channels.base import (
    Accepted,
    AccountConfig,
    Callback,
    Capabilities,
    PayRequest,
    Prepay,
    RefundFacts,
    RefundRequest,
    RefundState,
    Rejected,
    TradeFacts,
    TradeState,
    Unknown,
)
from payments.channels.wechatpay import callbacks, reactions
from payments.channels.wechatpay.client import Answer, Refusal, WechatpayClient
from payments.channels.wechatpay.reactions import Reaction
from payments.channels.wechatpay.reading import UnexpectedAnswer, refund_facts, trade_facts

Facts = TypeVar("Facts", TradeFacts, RefundFacts)
BEIJING = ZoneInfo("Asia/Shanghai")
PREPAY_VALID_FOR = timedelta(hours=2)
DESCRIPTION_LENGTH_MAX = 127
OAUTH_BYTES_MAX = 16_384


class WechatpayChannel:
    """One WeChat Pay merchant account in direct mode."""

    name: ClassVar[str] = "wechatpay"
    capabilities: ClassVar[Capabilities] = Capabilities(methods={"jsapi": frozenset({"openid"}), "native": frozenset()})
    code_parameter: ClassVar[str] = "code"
    query_schedule_s: ClassVar[tuple[int, ...]] = (5, 15, 30, 60, 180, 600)
    refund_schedule_s: ClassVar[tuple[int, ...]] = (60, 300, 600, 1200, 1800)

    def __init__(self, config: AccountConfig) -> None:
        self.config = config
        self.client = WechatpayClient(config)

    @property
    def endpoint(self) -> str:
        return str(urlsplit(self.config.settings["api_base"]).netloc)

    def create(self, request: PayRequest, *, now: datetime) -> Accepted[Prepay] | Rejected | Unknown:
        answer = self.client.call(
            method="POST", path=f"/v3/pay/transactions/{request.method}", reactions=reactions.CREATE, now=now,
            fields=self._create_fields(request),
        )  # fmt: skip
        if not isinstance(answer, Answer):
            return _refused(answer)
        key = "prepay_id" if request.method == "jsapi" else "code_url"
        value = answer.fields.get(key)
        if not isinstance(value, str) or not value:
            return Unknown(reason=f"answer without {key}")
        return Accepted(facts=Prepay(values={key: value}, valid_for=PREPAY_VALID_FOR))

    def query(self, *, payment_no: int, now: datetime) -> Accepted[TradeFacts] | Rejected | Unknown:
        answer = self.client.call(
            method="GET", path=f"/v3/pay/transactions/out-trade-no/{payment_no}", query=self._mchid(),
            reactions=reactions.QUERY, now=now,
        )  # fmt: skip
        if isinstance(answer, Answer):
            return self._read(trade_facts, answer, payment_no)
        if isinstance(answer, Refusal) and answer.reaction is Reaction.NOT_FOUND:
            return Accepted(facts=TradeFacts(state=TradeState.NOT_FOUND, payment_no=payment_no))
        return _refused(answer)

    def close(
        self,
        *,
        payment_no: int,
        method: str,  # noqa: ARG002 - all of them close alike
        now: datetime,
    ) -> Accepted[None] | Rejected | Unknown:
        answer = self.client.call(
            method="POST", path=f"/v3/pay/transactions/out-trade-no/{payment_no}/close", fields=self._mchid(),
            reactions=reactions.CLOSE, now=now,
        )  # fmt: skip
        return Accepted(facts=None) if isinstance(answer, Answer) else _refused(answer)

    def refund(self, request: RefundRequest, *, now: datetime) -> Accepted[RefundFacts] | Rejected | Unknown:
        fields: dict[str, Any] = {
            "out_trade_no": str(request.payment_no),
            "out_refund_no": str(request.refund_no),
            "notify_url": request.notify_url,
            "amount": {"refund": request.amount_fen, "total": request.paid_fen, "currency": "CNY"},
        }
        if reason := _plain(request.reason):
            fields["reason"] = reason
        answer = self.client.call(
            method="POST", path="/v3/refund/domestic/refunds", fields=fields, reactions=reactions.REFUND, now=now
        )
        if not isinstance(answer, Answer):
            return _refused(answer)
        return self._read(refund_facts, answer, request.refund_no)

    def query_refund(
        self, *, refund_no: int, payment_no: int, now: datetime
    ) -> Accepted[RefundFacts] | Rejected | Unknown:
        answer = self.client.call(
            method="GET", path=f"/v3/refund/domestic/refunds/{refund_no}", reactions=reactions.QUERY_REFUND, now=now
        )
        if isinstance(answer, Answer):
            return self._read(refund_facts, answer, refund_no)
        if isinstance(answer, Refusal) and answer.reaction is Reaction.NOT_FOUND:
            facts = RefundFacts(state=RefundState.NOT_FOUND, refund_no=refund_no, payment_no=payment_no)
            return Accepted(facts=facts)
        return _refused(answer)

    def page_parameters(self, prepay: Mapping[str, str], *, now: datetime) -> dict[str, str]:
        if "prepay_id" in prepay:
            return self.client.sign_for_page(package=f"prepay_id={prepay['prepay_id']}", now=now)
        return {"code_url": prepay["code_url"]}

    def read_callback(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> Callback:
        return callbacks.read(self.client, headers=headers, body=body, now=now)

    def callback_answer(self, *, problem: str = "") -> tuple[int, bytes]:
        if problem:
            return 500, json.dumps({"code": "FAIL", "message": problem}).encode()
        return 200, b'{"code":"SUCCESS"}'

    def authorize_url(self, *, redirect_uri: str, state: str) -> str:
        # The order of the parameters matters in practice.
        query = urlencode(
            {
                "appid": self.config.settings["appid"], "redirect_uri": redirect_uri, "response_type": "code",
                "scope": "snsapi_base", "state": state,
            }
        )  # fmt: skip
        return f"{self.config.settings['oauth_authorize_url']}?{query}#wechat_redirect"

    def payer_id(self, *, code: str) -> Accepted[str] | Rejected | Unknown:
        # Their protocol puts the app secret into the query, so this URL is never logged or traced.
        query = urlencode(
            {
                "appid": self.config.settings["appid"], "secret": self.config.secrets["app_secret"], "code": code,
                "grant_type": "authorization_code",
            }
        )  # fmt: skip
        try:
            reply = transport.send(
                method="GET", url=f"{self.config.settings['oauth_api_base']}/sns/oauth2/access_token?{query}",
                headers={"Accept": "application/json"}, deadline_s=self.config.deadline_s,
                connect_s=self.config.connect_s, bytes_max=OAUTH_BYTES_MAX, private_hosts=self.config.private_hosts,
            )  # fmt: skip
            fields = json.loads(reply.body)
        except (transport.TransportError, ValueError) as error:
            return Unknown(reason=str(error)[:80])
        if isinstance(fields, dict) and isinstance(fields.get("openid"), str):
            return Accepted(facts=fields["openid"])
        return Rejected(code=str(fields.get("errcode")) if isinstance(fields, dict) else "malformed")

    def sandbox_page_url(self, page: Mapping[str, str], *, return_to: str, language: str) -> str:
        base = self.config.settings.get("phone_base")
        if not base:
            return ""
        where = "scan" if "code_url" in page else "jsapi"
        return f"{base}/wechatpay/{where}?{urlencode({**page, 'redirect': return_to, 'lang': language})}"

    def _create_fields(self, request: PayRequest) -> dict[str, Any]:
        """The same for every retry of one number: changed parameters would be refused as a reused number."""
        fields: dict[str, Any] = {
            "appid": self.config.settings["appid"],
            "mchid": self.config.settings["mchid"],
            "description": _plain(request.subject)[:DESCRIPTION_LENGTH_MAX] or str(request.payment_no),
            "out_trade_no": str(request.payment_no),
            "time_expire": request.expires_at.astimezone(BEIJING).isoformat(timespec="seconds"),
            "notify_url": request.notify_url,
            "amount": {"total": request.amount_fen, "currency": "CNY"},
        }
        if "openid" in self.capabilities.methods[request.method]:
            fields["payer"] = {"openid": request.payer_id}
        return fields

    def _mchid(self) -> dict[str, str]:
        return {"mchid": self.config.settings["mchid"]}

    def _read(self, reader: Callable[..., Facts], answer: Answer, number: int) -> Accepted[Facts] | Unknown:
        """Facts out of a verified answer; an answer about something else is no answer."""
        try:
            facts = reader(answer.fields, settings=self.config.settings)
        except UnexpectedAnswer as error:
            return Unknown(reason=str(error))
        if number not in (facts.payment_no, getattr(facts, "refund_no", None)):
            return Unknown(reason="answer about another number")
        return Accepted(facts=facts)


def _plain(text: str) -> str:
    """Without characters of more than three bytes in UTF-8: the channel refuses emoji."""
    return "".join(character for character in text if ord(character) <= 0xFFFF).strip()


def _refused(answer: Refusal | Unknown) -> Rejected | Unknown:
    if isinstance(answer, Refusal):
        is_account = answer.reaction is Reaction.ACCOUNT
        return Rejected(code=answer.code, message=answer.message, account_refused=is_account)
    return answer
