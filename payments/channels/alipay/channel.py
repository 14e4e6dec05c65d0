"""Maps Alipay's gateway to our words. Source: opendocs.alipay.com/open/02ekfj and the page of each operation."""

import re
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any, BinaryIO, ClassVar
from urllib.parse import urlencode, urlsplit

from django.utils.translation import pgettext_lazy

from payments.channels.account_shape import AccountShape
from payments.channels.alipay import bills, callbacks, certificates, reactions
from payments.channels.alipay.client import IN_PROGRESS, AlipayClient, Answer
from payments.channels.alipay.reading import paid_facts, refund_facts, trade_facts
from payments.channels.answers import BEIJING, Reaction, Refusal, read_facts, refused
from payments.channels.base import (
    Accepted,
    AccountConfig,
    BillAnswer,
    Callback,
    Capabilities,
    PayRequest,
    Prepay,
    RefundFacts,
    RefundRequest,
    RefundState,
    Rejected,
    TheirCertificate,
    TradeFacts,
    TradeState,
    Unknown,
)
from payments.channels.bills import BillItems, BillOffer, BillWish
from payments.channels.wallets import Bridge, Text, Wallet
from payments.money import yuan_text

# By myjsapi.alipay.com/alipayjsapi/util/pay/tradePay.html. 8000, 6002, 6004 and 99 do not say whether the payer has
# paid: like 9000 they let the page ask the server.
BRIDGE = Bridge(
    object="AlipayJSBridge", ready_event="AlipayJSBridgeReady", method="call", call="tradePay",
    parameters=("tradeNO",), answer="resultCode", outcomes={"4000": "fail", "6001": "cancel"}, otherwise="ok",
)  # fmt: skip
TRADE_VALID_FOR = timedelta(days=15)  # ends with the order's own time_expire, which is earlier
QR_VALID_FOR = timedelta(hours=2)
BILLS_READY_AT = time(9)
SUBJECT_LENGTH_MAX = 256
_USER_ID = re.compile(r"2088[0-9]{12}")
_REFUSED_IN_SUBJECT = str.maketrans("", "", "/=&")
CREATORS = {"jsapi": "alipay.trade.create", "native": "alipay.trade.precreate", "barcode": "alipay.trade.pay"}


class AlipayChannel:
    """One app at Alipay."""

    name: ClassVar[str] = "alipay"
    label: ClassVar[Text] = pgettext_lazy("channel", "Alipay")
    is_model: ClassVar[bool] = False
    wallet: ClassVar[Wallet] = Wallet(
        app=pgettext_lazy("payer's app", "Alipay"), service=pgettext_lazy("payer's app", "Alipay"),
        agent="AlipayClient", bridge=BRIDGE,
    )  # fmt: skip
    account_shape: ClassVar[AccountShape] = AccountShape(
        their_keys="alipay_keys",
        identity=frozenset({"app_id", "seller_id"}),
        payers_by=frozenset({"app_id"}),
        settings=frozenset({"app_id", "seller_id", "gateway"}),
        settings_maybe=frozenset(
            {
                "alipay_keys", "alipay_root_cert_sn", "alipay_root_certificates", "app_cert_sn",
                "oauth_authorize_url", "phone_base",
            }
        ),
        secrets=frozenset({"private_key_pem"}),
        secrets_maybe=frozenset({"aes_key", "app_auth_token"}),
        payers_asked_by=frozenset({"oauth_authorize_url"}),
        lists={"bill_kinds": frozenset(bills.BILL_TYPES), "bill_hosts": None},
        further_issues=certificates.issues,
    )  # fmt: skip
    capabilities: ClassVar[Capabilities] = Capabilities(
        methods={"jsapi": frozenset({"openid"}), "native": frozenset(), "barcode": frozenset({"auth_code"})},
        unseen_methods=frozenset({"native"}),
        refund_gap=timedelta(seconds=3),
        bills={kind: BillOffer(ready_at=BILLS_READY_AT) for kind in bills.BILL_TYPES},
    )
    query_schedule_s: ClassVar[tuple[int, ...]] = (5, 15, 30, 60, 180, 600)
    refund_schedule_s: ClassVar[tuple[int, ...]] = (10, 30, 60, 300, 600, 1800)
    code_parameter: ClassVar[str] = "auth_code"

    def __init__(self, config: AccountConfig) -> None:
        self.config = config
        self.client = AlipayClient(config)

    @property
    def endpoint(self) -> str:
        return str(urlsplit(self.config.settings["gateway"]).netloc)

    def create(self, request: PayRequest, *, now: datetime) -> Accepted[Prepay | TradeFacts] | Rejected | Unknown:
        table = reactions.PAY if request.method == "barcode" else reactions.CREATE
        answer = self.client.call(
            CREATORS[request.method], content=self._create_content(request), notify_url=request.notify_url,
            reactions=table, now=now,
        )  # fmt: skip
        if not isinstance(answer, Answer):
            return refused(answer)
        if request.method == "barcode":
            return self._read_pay(answer, request)
        key, value_of, valid_for = (
            ("qr_code", "qr_code", QR_VALID_FOR)
            if request.method == "native"
            else ("tradeNO", "trade_no", TRADE_VALID_FOR)
        )
        value = answer.fields.get(value_of)
        if not isinstance(value, str) or not value or not _is_about(answer, request.payment_no):
            return Unknown(reason=f"answer without {value_of}")
        return Accepted(facts=Prepay(values={key: value}, valid_for=valid_for))

    def query(self, *, payment_no: int, now: datetime) -> Accepted[TradeFacts] | Rejected | Unknown:
        answer = self.client.call(
            "alipay.trade.query", content={"out_trade_no": str(payment_no)}, reactions=reactions.QUERY, now=now
        )
        if isinstance(answer, Answer):
            return read_facts(lambda: trade_facts(answer.fields, paid_at_field="send_pay_date"), number=payment_no)
        if isinstance(answer, Refusal) and answer.reaction is Reaction.NOT_FOUND:
            return Accepted(facts=TradeFacts(state=TradeState.NOT_FOUND, payment_no=payment_no))
        return refused(answer)

    def close(self, *, payment_no: int, method: str, now: datetime) -> Accepted[None] | Rejected | Unknown:
        """A page's trade is closed, which only an unpaid one can be. A bar code's and a QR code's are cancelled: that
        also works before the trade exists, and gives the money back if the payer was faster.
        """
        operation = "alipay.trade.close" if method == "jsapi" else "alipay.trade.cancel"
        answer = self.client.call(
            operation, content={"out_trade_no": str(payment_no)}, reactions=reactions.CLOSE, now=now
        )
        if isinstance(answer, Answer) and answer.fields.get("retry_flag") == "Y":
            return Unknown(reason="cancel again")
        return Accepted(facts=None) if isinstance(answer, Answer) else refused(answer)

    def refund(self, request: RefundRequest, *, now: datetime) -> Accepted[RefundFacts] | Rejected | Unknown:
        content = {
            "out_trade_no": str(request.payment_no), "out_request_no": str(request.refund_no),
            "refund_amount": yuan_text(request.amount_fen),
        }  # fmt: skip
        if request.reason:
            content["refund_reason"] = request.reason
        answer = self.client.call("alipay.trade.refund", content=content, reactions=reactions.REFUND, now=now)
        if not isinstance(answer, Answer):
            return refused(answer)
        # `refund_fee` is the sum of all refunds, and a repeat says N although the first one was executed: a query,
        # which knows the refund by its own number, has the last word.
        if answer.fields.get("fund_change") != "Y":
            return Unknown(reason=f"fund_change {answer.fields.get('fund_change', '')}"[:40])
        return Accepted(
            facts=RefundFacts(
                state=RefundState.PROCESSING, refund_no=request.refund_no, payment_no=request.payment_no,
                amount_fen=request.amount_fen,
            )
        )  # fmt: skip

    def query_refund(
        self, *, refund_no: int, payment_no: int, now: datetime
    ) -> Accepted[RefundFacts] | Rejected | Unknown:
        content = {
            "out_trade_no": str(payment_no), "out_request_no": str(refund_no), "query_options": ["gmt_refund_pay"],
        }  # fmt: skip
        answer = self.client.call(
            "alipay.trade.fastpay.refund.query", content=content, reactions=reactions.QUERY_REFUND, now=now
        )
        if isinstance(answer, Answer):
            return read_facts(
                lambda: refund_facts(answer.fields, refund_no=refund_no, payment_no=payment_no), number=refund_no
            )
        if isinstance(answer, Refusal) and answer.reaction is Reaction.NOT_FOUND:
            facts = RefundFacts(state=RefundState.NOT_FOUND, refund_no=refund_no, payment_no=payment_no)
            return Accepted(facts=facts)
        return refused(answer)

    def fetch_certificates(
        self, *, serial: str, now: datetime
    ) -> Accepted[tuple[TheirCertificate, ...]] | Rejected | Unknown:
        return self.client.fetch_certificate(serial, now=now) if serial else Accepted(facts=())

    def keys_end_at(self) -> datetime | None:
        """Never asked for in advance: a new one is fetched when a message names it."""
        return None

    def download_bill(self, wish: BillWish, *, into: BinaryIO, now: datetime) -> BillAnswer:
        return bills.download(self.client, wish, into=into, now=now)

    def read_bill(self, file: BinaryIO, wish: BillWish) -> BillItems:
        return bills.read(self.client, file, wish)

    def page_parameters(self, prepay: Mapping[str, str], *, now: datetime) -> dict[str, str]:  # noqa: ARG002
        """`tradeNO` for the page's bridge, or the code that is shown to be scanned; nothing here is signed."""
        return {"code_url": prepay["qr_code"]} if "qr_code" in prepay else {"tradeNO": prepay["tradeNO"]}

    def read_callback(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> Callback:  # noqa: ARG002
        """Verify and read. A callback of theirs carries no time that is signed, so an old one is told by its number."""
        return callbacks.read(self.client, body=body, now=now)

    def callback_answer(self, *, problem: str = "") -> tuple[int, bytes]:
        return (500, b"fail") if problem else (200, b"success")

    def authorize_url(self, *, redirect_uri: str, state: str) -> str:
        query = urlencode(
            {
                "app_id": self.config.settings["app_id"], "scope": "auth_base", "redirect_uri": redirect_uri,
                "state": state,
            }
        )  # fmt: skip
        return f"{self.config.settings['oauth_authorize_url']}?{query}"

    def payer_id(self, *, code: str, user_agent: str) -> Accepted[str] | Rejected | Unknown:  # noqa: ARG002
        answer = self.client.call(
            "alipay.system.oauth.token", top_level={"grant_type": "authorization_code", "code": code},
            reactions=reactions.NOTHING, now=datetime.now(BEIJING),
        )  # fmt: skip
        if not isinstance(answer, Answer):
            return refused(answer)
        found = answer.fields.get("open_id") or answer.fields.get("user_id")
        return Accepted(facts=found) if isinstance(found, str) and found else Unknown(reason="answer without a user")

    def sandbox_page_url(self, page: Mapping[str, str], *, return_to: str, language: str) -> str:
        base = self.config.settings.get("phone_base")
        if not base:
            return ""
        where, what = ("scan", {"qr_code": page["code_url"]}) if "code_url" in page else ("trade", page)
        return f"{base}/alipay/{where}?{urlencode({**what, 'redirect': return_to, 'lang': language})}"

    @staticmethod
    def sandbox_account(said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """In the mode of plain public keys."""
        settings = {name: said[name] for name in ("app_id", "seller_id", "oauth_authorize_url", "phone_base")}
        settings |= {
            "gateway": said["gateway_url"], "alipay_keys": {"": said["alipay_public_key_pem"]},
            "bill_hosts": [urlsplit(said["gateway_url"]).netloc],
        }  # fmt: skip
        return settings, {"private_key_pem": said["app_private_key_pem"]}

    def _create_content(self, request: PayRequest) -> dict[str, Any]:
        """The same for every retry of one number: changed parameters would be refused as inconsistent."""
        subject = request.subject.translate(_REFUSED_IN_SUBJECT).strip()[:SUBJECT_LENGTH_MAX]
        content: dict[str, Any] = {
            "out_trade_no": str(request.payment_no),
            "total_amount": yuan_text(request.amount_fen),
            "subject": subject or str(request.payment_no),
            "time_expire": request.expires_at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
        }
        match request.method:
            case "jsapi":
                payer = "buyer_id" if _USER_ID.fullmatch(request.payer_id) else "buyer_open_id"
                content |= {"product_code": "JSAPI_PAY", payer: request.payer_id}
            case "native":
                content |= {"product_code": "QR_CODE_OFFLINE"}
            case "barcode":
                content |= {
                    "product_code": "FACE_TO_FACE_PAYMENT", "scene": "bar_code", "auth_code": request.auth_code,
                }  # fmt: skip
        return content

    def _read_pay(self, answer: Answer, request: PayRequest) -> Accepted[Prepay | TradeFacts] | Unknown:
        """A bar code: paid at once, or the payer types a password on the phone."""
        if answer.code == IN_PROGRESS:
            return Accepted(facts=TradeFacts(state=TradeState.NOT_PAID, payment_no=request.payment_no))
        return read_facts(lambda: paid_facts(answer.fields, paid_at_field="gmt_payment"), number=request.payment_no)


def _is_about(answer: Answer, payment_no: int) -> bool:
    return answer.fields.get("out_trade_no") == str(payment_no)
