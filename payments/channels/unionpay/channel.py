"""Maps the UnionPay model to our words: the public shape of one provider's API, certified with nobody.

Where each fact comes from, and what is to be asked of the acquirer, is told in docs/adding-a-channel.md.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from django.utils.translation import pgettext_lazy

from payments.channels.account_shape import AccountShape
from payments.channels.answers import BEIJING, Facts, Reaction, Refusal, read_facts, refused
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
from payments.channels.unionpay import callbacks, reactions
from payments.channels.unionpay.client import Answer, UnionpayClient
from payments.channels.unionpay.reading import CURRENCY, refund_facts, trade_facts
from payments.channels.wallets import Text, Wallet

ORDER_TYPES = {"jsapi": "upJs", "barcode": "unionpay"}
PREPAY_VALID_FOR = timedelta(hours=2)
OWN_APP = "UnionPay/1.0 CloudPay"  # what UnionPay's own app calls itself
_APP = re.compile(r"UnionPay/[0-9.]{1,16} [0-9A-Za-z]{1,32}")
_URL = re.compile(r"https?://[!-~]{1,2000}")


class UnionpayChannel:
    """One merchant of a service provider."""

    name: ClassVar[str] = "unionpay"
    label: ClassVar[Text] = pgettext_lazy("channel", "UnionPay")
    is_model: ClassVar[bool] = True
    wallet: ClassVar[Wallet] = Wallet(
        app=pgettext_lazy("payer's app", "UnionPay"), service=pgettext_lazy("payer's service", "UnionPay"),
        agent="UnionPay/",
    )  # fmt: skip
    account_shape: ClassVar[AccountShape] = AccountShape(
        their_keys="platform_keys",
        identity=frozenset({"serv_prov_id", "mer_id"}),
        payers_by=frozenset({"serv_prov_id", "mer_id"}),
        settings=frozenset({"serv_prov_id", "mer_id", "api_base", "platform_keys"}),
        settings_maybe=frozenset({"backup_api_base", "phone_base", "term_id", "user_auth_url"}),
        secrets=frozenset({"private_key_pem"}),
        secrets_maybe=frozenset(),
        payers_asked_by=frozenset({"user_auth_url"}),
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        methods={"jsapi": frozenset({"openid", "client_ip"}), "barcode": frozenset({"auth_code"})}
    )
    code_parameter: ClassVar[str] = "userAuthCode"
    query_schedule_s: ClassVar[tuple[int, ...]] = (5, 15, 30, 60, 180, 600)
    refund_schedule_s: ClassVar[tuple[int, ...]] = (10, 30, 60, 300, 600, 1800)

    def __init__(self, config: AccountConfig) -> None:
        self.config = config
        self.client = UnionpayClient(config)

    @property
    def endpoint(self) -> str:
        return str(urlsplit(self.config.settings["api_base"]).netloc)

    def create(self, request: PayRequest, *, now: datetime) -> Accepted[Prepay | TradeFacts] | Rejected | Unknown:  # noqa: ARG002
        if request.method == "barcode":
            return self._pay(request)
        fields = self._create_fields(request) | {
            "frontUrl": request.page_url, "userId": request.payer_id, "customerIp": request.client_ip,
            "termInfo": json.dumps({"ip": request.client_ip}, separators=(",", ":")),
        }  # fmt: skip
        answer = self.client.call("unifiedorder", fields=fields, reactions=reactions.CREATE)
        if not isinstance(answer, Answer):
            return refused(answer)
        pay_url = answer.fields.get("payData")
        if answer.fields.get("orderNo") != fields["orderNo"]:
            return Unknown(reason="answer about another number")
        if not isinstance(pay_url, str) or not _URL.fullmatch(pay_url):
            return Unknown(reason="answer without payData")
        return Accepted(facts=Prepay(values={"pay_url": pay_url}, valid_for=PREPAY_VALID_FOR))

    def _pay(self, request: PayRequest) -> Accepted[Prepay | TradeFacts] | Rejected | Unknown:
        """A bar code: paid at once, or 02 while the payer types a password on the phone, which is waited for."""
        fields = self._create_fields(request) | {"authCode": request.auth_code}
        if term_id := self.config.settings.get("term_id"):
            fields["termId"] = term_id
        good = frozenset({reactions.SUCCESS, reactions.PAYING})
        answer = self.client.call("micropay", fields=fields, reactions=reactions.CREATE, good=good)
        if not isinstance(answer, Answer):
            return refused(answer)
        if answer.code == reactions.PAYING:
            return Accepted(facts=TradeFacts(state=TradeState.NOT_PAID, payment_no=request.payment_no))
        return self._read(trade_facts, answer, request.payment_no)

    def query(self, *, payment_no: int, now: datetime) -> Accepted[TradeFacts] | Rejected | Unknown:  # noqa: ARG002
        answer = self.client.call("queryOrder", fields={"orderNo": str(payment_no)}, reactions=reactions.QUERY)
        if isinstance(answer, Answer):
            return self._read(trade_facts, answer, payment_no)
        if isinstance(answer, Refusal) and answer.reaction is Reaction.NOT_FOUND:
            return Accepted(facts=TradeFacts(state=TradeState.NOT_FOUND, payment_no=payment_no))
        return refused(answer)

    def close(self, *, payment_no: int, method: str, now: datetime) -> Accepted[None] | Rejected | Unknown:  # noqa: ARG002
        answer = self.client.call("close", fields={"orderNo": str(payment_no)}, reactions=reactions.CLOSE)
        return Accepted(facts=None) if isinstance(answer, Answer) else refused(answer)

    def refund(self, request: RefundRequest, *, now: datetime) -> Accepted[RefundFacts] | Rejected | Unknown:  # noqa: ARG002
        """That it was taken. What became of it is asked for, by the refund's own number."""
        fields = {
            "orderNo": str(request.refund_no), "origOrderNo": str(request.payment_no),
            "txnAmt": str(request.amount_fen), "currencyCode": CURRENCY,
        }  # fmt: skip
        answer = self.client.call("refund", fields=fields, reactions=reactions.REFUND)
        if not isinstance(answer, Answer):
            return refused(answer)
        if answer.fields.get("orderNo") != fields["orderNo"]:
            return Unknown(reason="answer about another number")
        return Accepted(
            facts=RefundFacts(
                state=RefundState.PROCESSING, refund_no=request.refund_no, payment_no=request.payment_no,
                amount_fen=request.amount_fen,
            )
        )  # fmt: skip

    def query_refund(
        self, *, refund_no: int, payment_no: int, now: datetime  # noqa: ARG002
    ) -> Accepted[RefundFacts] | Rejected | Unknown:  # fmt: skip
        fields = {"orderNo": str(refund_no), "origOrderNo": str(payment_no)}
        answer = self.client.call("refundQuery", fields=fields, reactions=reactions.QUERY_REFUND)
        if isinstance(answer, Answer):
            return self._read(refund_facts, answer, refund_no)
        if isinstance(answer, Refusal) and answer.reaction is Reaction.NOT_FOUND:
            facts = RefundFacts(state=RefundState.NOT_FOUND, refund_no=refund_no, payment_no=payment_no)
            return Accepted(facts=facts)
        return refused(answer)

    def page_parameters(self, prepay: Mapping[str, str], *, now: datetime) -> dict[str, str]:  # noqa: ARG002
        """The app opens its cash desk at `pay_url`; nothing here is signed."""
        return dict(prepay)

    def read_callback(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> Callback:  # noqa: ARG002
        """Verify and read. A callback of theirs carries no time of its sending, so an old one is told by its digest."""
        return callbacks.read(self.client, body=body)

    def callback_answer(self, *, problem: str = "") -> tuple[int, bytes]:
        return (500, b"fail") if problem else (200, b"success")

    def authorize_url(self, *, redirect_uri: str, state: str) -> str:
        """They know no `state`, so it travels in the address that the payer comes back to."""
        back = f"{redirect_uri}?{urlencode({'state': state})}"
        return f"{self.config.settings['user_auth_url']}?{urlencode({'version': '1.0.0', 'redirectUrl': back})}"

    def payer_id(self, *, code: str, user_agent: str) -> Accepted[str] | Rejected | Unknown:
        """Many apps speak UnionPay's: which one it is stands in its browser's name, and nowhere in a sandbox's."""
        app = _APP.search(user_agent)
        answer = self.client.call(
            "getUserId", reactions=reactions.USER,
            fields={"userAuthCode": code, "appUpIdentifier": app.group() if app else OWN_APP},
        )  # fmt: skip
        if not isinstance(answer, Answer):
            return refused(answer)
        found = answer.fields.get("userId")
        return Accepted(facts=found) if isinstance(found, str) and found else Unknown(reason="answer without a user")

    def sandbox_page_url(self, page: Mapping[str, str], *, return_to: str, language: str) -> str:
        if not self.config.settings.get("phone_base"):
            return ""
        return f"{page['pay_url']}?{urlencode({'redirect': return_to, 'lang': language})}"

    @staticmethod
    def sandbox_account(said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        settings = {name: said[name] for name in ("serv_prov_id", "mer_id", "api_base", "user_auth_url", "phone_base")}
        settings["platform_keys"] = {"": said["platform_public_key_pem"]}
        return settings, {"private_key_pem": said["merchant_private_key_pem"]}

    def _create_fields(self, request: PayRequest) -> dict[str, str]:
        """The same for every retry of one number, the time too: changed parameters would be a reused number."""
        return {
            "orderNo": str(request.payment_no),
            "orderTime": request.begun_at.astimezone(BEIJING).strftime("%Y%m%d%H%M%S"),
            "orderType": ORDER_TYPES[request.method],
            "txnAmt": str(request.amount_fen),
            "currencyCode": CURRENCY,
            "orderInfo": request.subject,
            "backUrl": request.notify_url,
        }

    def _read(self, reader: Callable[..., Facts], answer: Answer, number: int) -> Accepted[Facts] | Unknown:
        return read_facts(lambda: reader(answer.fields, settings=self.config.settings), number=number)
