"""Maps WeChat Pay APIv3 to our words. Fields and limits: pay.weixin.qq.com/doc/v3/merchant/4012791856 and following."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from typing import Any, BinaryIO, ClassVar
from urllib.parse import quote, urlencode, urlsplit

from django.utils.translation import pgettext_lazy

from openplatform import transport
from openplatform.limits import Pace
from payments.channels.account_shape import AccountShape
from payments.channels.answers import BEIJING, Facts, Reaction, Refusal, read_facts, refused
from payments.channels.base import (
    Accepted,
    AccountConfig,
    BankCard,
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
from payments.channels.wechatpay import bills, callbacks, certificates, keyring, reactions, signing
from payments.channels.wechatpay.client import Answer, WechatpayClient
from payments.channels.wechatpay.identity import Identity
from payments.channels.wechatpay.reading import refund_facts, trade_facts
from payments.states import BillKind

# What each method's answer holds, and for how long the channel honours it.
PREPAYS = {
    "jsapi": ("prepay_id", timedelta(hours=2)),
    "app": ("prepay_id", timedelta(hours=2)),
    "native": ("code_url", timedelta(hours=2)),
    "h5": ("h5_url", timedelta(minutes=5)),
}
# By pay.weixin.qq.com/doc/v3/merchant/4012791857.
BRIDGE = Bridge(
    object="WeixinJSBridge", ready_event="WeixinJSBridgeReady", method="invoke", call="getBrandWCPayRequest",
    parameters=("appId", "timeStamp", "nonceStr", "package", "signType", "paySign"), answer="err_msg",
    outcomes={"get_brand_wcpay_request:ok": "ok", "get_brand_wcpay_request:cancel": "cancel"}, otherwise="fail",
)  # fmt: skip
BILLS_READY_AT = time(10)  # they are made from nine o'clock on
DESCRIPTION_LENGTH_MAX = 127
OAUTH_BYTES_MAX = 16_384


class WechatpayChannel:
    """One WeChat Pay account, of a merchant or of a service provider for one of its merchants."""

    name: ClassVar[str] = "wechatpay"
    label: ClassVar[Text] = pgettext_lazy("channel", "WeChat Pay")
    is_model: ClassVar[bool] = False
    wallet: ClassVar[Wallet] = Wallet(
        app=pgettext_lazy("payer's app", "WeChat"), service=pgettext_lazy("payer's app", "WeChat Pay"),
        agent="MicroMessenger", bridge=BRIDGE,
    )  # fmt: skip
    account_shape: ClassVar[AccountShape] = AccountShape(
        their_keys="platform_keys",
        identity=frozenset({"mchid", "appid", "sub_mchid", "sub_appid"}),
        payers_by=frozenset({"appid", "sub_appid"}),
        settings=frozenset({"mchid", "appid", "merchant_serial_no", "api_base"}),
        settings_maybe=frozenset(
            {
                "answer_key_serial", "backup_api_base", "oauth_api_base", "oauth_authorize_url", "phone_base",
                "platform_keys", "store_id", "sub_appid", "sub_mchid",
            }
        ),
        secrets=frozenset({"private_key_pem", "apiv3_key"}),
        secrets_maybe=frozenset({"app_secret"}),
        payers_asked_by=frozenset({"app_secret", "oauth_api_base", "oauth_authorize_url"}),
        lists={"bill_kinds": frozenset(BillKind)},
        further_issues=keyring.issues,
    )  # fmt: skip
    capabilities: ClassVar[Capabilities] = Capabilities(
        methods={
            "jsapi": frozenset({"openid"}), "native": frozenset(), "app": frozenset(),
            "h5": frozenset({"client_ip"}), "barcode": frozenset({"auth_code"}),
        },
        # They allow 150 a second: half of it as the even pace, and a rush of a second's worth beside it.
        # Of a fund flow bill they allow 3.
        paces={
            "refund": Pace(calls=75, period_s=1, wait_max_s=1), "bill": Pace(calls=3, period_s=2, wait_max_s=1),
        },
        refund_gap=timedelta(minutes=1),
        certificates_every=timedelta(hours=6),  # they ask for less than 12, and a new one is there a day before its use
        bills={
            BillKind.TRADE: BillOffer(ready_at=BILLS_READY_AT),
            # The flow is that of whoever signs: a service provider would get its own, and not its merchant's.
            BillKind.FUND_FLOW: BillOffer(ready_at=BILLS_READY_AT, not_with="sub_mchid"),
            BillKind.FUND_FLOW_OPERATION: BillOffer(
                ready_at=BILLS_READY_AT, is_default=False, not_with="sub_mchid"
            ),
            BillKind.FUND_FLOW_FEES: BillOffer(ready_at=BILLS_READY_AT, is_default=False, not_with="sub_mchid"),
        },
    )  # fmt: skip
    code_parameter: ClassVar[str] = "code"
    query_schedule_s: ClassVar[tuple[int, ...]] = (5, 15, 30, 60, 180, 600)
    refund_schedule_s: ClassVar[tuple[int, ...]] = (60, 300, 600, 1200, 1800)

    def __init__(self, config: AccountConfig) -> None:
        self.config = config
        self.client = WechatpayClient(config)
        self.identity = Identity(config.settings)

    @property
    def endpoint(self) -> str:
        return str(urlsplit(self.config.settings["api_base"]).netloc)

    def create(self, request: PayRequest, *, now: datetime) -> Accepted[Prepay | TradeFacts] | Rejected | Unknown:
        if request.method == "barcode":
            return self._pay(request, now=now)
        answer = self.client.call(
            method="POST", path=f"{self.identity.path}/{request.method}", reactions=reactions.CREATE, now=now,
            fields=self._create_fields(request),
        )  # fmt: skip
        if not isinstance(answer, Answer):
            return refused(answer)
        key, valid_for = PREPAYS[request.method]
        value = answer.fields.get(key)
        if answer.status != 200 or not isinstance(value, str) or not value:
            return Unknown(reason=f"answer without {key}")
        kept_as = "app_prepay_id" if request.method == "app" else key
        return Accepted(facts=Prepay(values={kept_as: value}, valid_for=valid_for))

    def _pay(self, request: PayRequest, *, now: datetime) -> Accepted[Prepay | TradeFacts] | Rejected | Unknown:
        """A bar code: paid at once, or 202 while the payer types a password on the phone."""
        answer = self.client.call(
            method="POST", path=f"{self.identity.path}/codepay", reactions=reactions.PAY, now=now,
            fields=self._create_fields(request),
        )  # fmt: skip
        if not isinstance(answer, Answer):
            return refused(answer)
        if answer.status == 202:
            return Accepted(facts=TradeFacts(state=TradeState.NOT_PAID, payment_no=request.payment_no))
        return self._read(trade_facts, answer, request.payment_no)

    def query(self, *, payment_no: int, now: datetime) -> Accepted[TradeFacts] | Rejected | Unknown:
        answer = self.client.call(
            method="GET", path=f"{self.identity.path}/out-trade-no/{payment_no}", query=self.identity.merchant(),
            reactions=reactions.QUERY, now=now,
        )  # fmt: skip
        if isinstance(answer, Answer):
            return self._read(trade_facts, answer, payment_no)
        if isinstance(answer, Refusal) and answer.reaction is Reaction.NOT_FOUND:
            return Accepted(facts=TradeFacts(state=TradeState.NOT_FOUND, payment_no=payment_no))
        return refused(answer)

    def close(self, *, payment_no: int, method: str, now: datetime) -> Accepted[None] | Rejected | Unknown:
        verb, fields = ("reverse", self.identity.ids()) if method == "barcode" else ("close", self.identity.merchant())
        answer = self.client.call(
            method="POST", path=f"{self.identity.path}/out-trade-no/{payment_no}/{verb}", fields=fields,
            reactions=reactions.CLOSE, now=now,
        )  # fmt: skip
        return Accepted(facts=None) if isinstance(answer, Answer) else refused(answer)

    def refund(self, request: RefundRequest, *, now: datetime) -> Accepted[RefundFacts] | Rejected | Unknown:
        fields: dict[str, Any] = {
            **self.identity.sub_merchant(),
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
            return refused(answer)
        return self._read(refund_facts, answer, request.refund_no)

    def query_refund(
        self, *, refund_no: int, payment_no: int, now: datetime
    ) -> Accepted[RefundFacts] | Rejected | Unknown:
        answer = self.client.call(
            method="GET", path=f"/v3/refund/domestic/refunds/{refund_no}", query=self.identity.sub_merchant(),
            reactions=reactions.QUERY_REFUND, now=now,
        )  # fmt: skip
        if isinstance(answer, Answer):
            return self._read(refund_facts, answer, refund_no)
        if isinstance(answer, Refusal) and answer.reaction is Reaction.NOT_FOUND:
            facts = RefundFacts(state=RefundState.NOT_FOUND, refund_no=refund_no, payment_no=payment_no)
            return Accepted(facts=facts)
        return refused(answer)

    def fetch_certificates(
        self, *, serial: str, now: datetime  # noqa: ARG002 - they give out all of them at once
    ) -> Accepted[tuple[TheirCertificate, ...]] | Rejected | Unknown:  # fmt: skip
        return certificates.fetch(self.client, now=now)

    def keys_end_at(self) -> datetime | None:
        return self.client.keyring.end_at()

    def redirect_refund(
        self, *, refund_no: int, channel_refund_no: str, card: BankCard | None, now: datetime
    ) -> Accepted[RefundFacts] | Rejected | Unknown:
        fields = {**self.identity.sub_merchant(), "out_refund_no": str(refund_no), "type": "MERCHANT_BANK_CARD"}
        serial = ""
        if card is not None:
            key = self.client.keyring.to_encrypt_for(now=now)
            if key is None:
                return Unknown(reason="no key of theirs to encrypt for", sent=False)
            serial, pem = key
            fields |= {
                "type": "USER_BANK_CARD", "bank_type": card.bank_type,
                "bank_account": signing.encrypt_field(card.account, pem=pem),
                "real_name": signing.encrypt_field(card.name, pem=pem),
            }  # fmt: skip
        path = f"/v3/refund/domestic/refunds/{quote(channel_refund_no, safe='')}/apply-abnormal-refund"
        answer = self.client.call(
            method="POST", path=path, fields=fields, key_serial=serial, reactions=reactions.REDIRECT, now=now
        )
        return self._read(refund_facts, answer, refund_no) if isinstance(answer, Answer) else refused(answer)

    def download_bill(self, wish: BillWish, *, into: BinaryIO, now: datetime) -> BillAnswer:
        return bills.download(self.client, wish, into=into, now=now)

    def read_bill(self, file: BinaryIO, wish: BillWish) -> BillItems:
        return bills.read(self.client, file, wish)

    def page_parameters(self, prepay: Mapping[str, str], *, now: datetime) -> dict[str, str]:
        if "prepay_id" in prepay:
            package = f"prepay_id={prepay['prepay_id']}"
            return self.client.sign_for_page(app_id=self.identity.page_appid, package=package, now=now)
        if "app_prepay_id" in prepay:
            return self.client.sign_for_app(app_id=self.identity.page_appid, prepay_id=prepay["app_prepay_id"], now=now)
        return dict(prepay)

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

    def payer_id(self, *, code: str, user_agent: str) -> Accepted[str] | Rejected | Unknown:  # noqa: ARG002
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

    @staticmethod
    def sandbox_account(said: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """In the mode of a public key that signs answers."""
        kept = (
            "mchid", "appid", "merchant_serial_no", "api_base", "oauth_authorize_url", "oauth_api_base", "phone_base",
        )  # fmt: skip
        key_id = said["platform_public_key_id"]
        settings = {name: said[name] for name in kept} | {
            "answer_key_serial": key_id, "platform_keys": {key_id: said["platform_public_key_pem"]},
        }  # fmt: skip
        secrets = {
            "private_key_pem": said["merchant_private_key_pem"], "apiv3_key": said["apiv3_key"],
            "app_secret": said["app_secret"],
        }  # fmt: skip
        return settings, secrets

    def _create_fields(self, request: PayRequest) -> dict[str, Any]:
        """The same for every retry of one number: changed parameters would be refused as a reused number."""
        fields: dict[str, Any] = {
            **self.identity.ids(),
            "description": _plain(request.subject)[:DESCRIPTION_LENGTH_MAX] or str(request.payment_no),
            "out_trade_no": str(request.payment_no),
            "amount": {"total": request.amount_fen, "currency": "CNY"},
        }
        if request.method == "barcode":  # answered at once, so it takes neither an address nor a time
            store = {"out_id": str(self.config.settings.get("store_id") or self.config.account_id)}
            return fields | {"payer": {"auth_code": request.auth_code}, "scene_info": {"store_info": store}}
        fields["time_expire"] = request.expires_at.astimezone(BEIJING).isoformat(timespec="seconds")
        fields["notify_url"] = request.notify_url
        if request.method == "jsapi":
            fields["payer"] = self.identity.payer(request.payer_id)
        if request.method == "h5":
            fields["scene_info"] = {"payer_client_ip": request.client_ip, "h5_info": {"type": "Wap"}}
        return fields

    def _read(self, reader: Callable[..., Facts], answer: Answer, number: int) -> Accepted[Facts] | Unknown:
        return read_facts(lambda: reader(answer.fields, settings=self.config.settings), number=number)


def _plain(text: str) -> str:
    """Without characters of more than three bytes in UTF-8: the channel refuses emoji."""
    return "".join(character for character in text if ord(character) <= 0xFFFF).strip()
