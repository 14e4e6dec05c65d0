"""A merchant's side of Alipay's protocol, written for the tests alone and able to do everything wrong on purpose."""

import base64
import json
from datetime import datetime, timedelta, timezone
from typing import Any, Self
from urllib.parse import parse_qsl

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from tests.certificates import private_key
from tests.sandbox.callers import Got, new_number
from tests.sandboxes import RunningSandbox

BEIJING = timezone(timedelta(hours=8))
BUYER = "0SandboxBuyerOfTests"


class AlipayCaller:
    """Signed calls to the gateway. Every common parameter can be replaced, or left out with None."""

    def __init__(self, sandbox: RunningSandbox, *, notify_url: str, in_cert_mode: bool = False) -> None:
        self.sandbox, self.identity, self.notify_url = sandbox, sandbox.identity["alipay"], notify_url
        self.in_cert_mode = in_cert_mode
        self.key = private_key(self.identity["app_private_key_pem"])
        self.session = requests.Session()
        self.session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.session.close()

    def sign(self, params: dict[str, str]) -> str:
        message = "&".join(f"{name}={params[name]}" for name in sorted(params) if params[name]).encode()
        return base64.b64encode(self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()

    def params(self, method: str, biz: Any = None, **changes: str | None) -> dict[str, str]:
        wanted: dict[str, str | None] = {
            "app_id": self.identity["app_id"],
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": f"{datetime.now(BEIJING):%Y-%m-%d %H:%M:%S}",
            "version": "1.0",
        }
        if biz is not None:
            wanted["biz_content"] = biz if isinstance(biz, str) else json.dumps(biz, ensure_ascii=False)
        if self.in_cert_mode:
            wanted["app_cert_sn"] = self.identity["app_cert_sn"]
            wanted["alipay_root_cert_sn"] = self.identity["alipay_root_cert_sn"]
        wanted |= changes
        params = {name: value for name, value in wanted.items() if value is not None}
        params.setdefault("sign", self.sign(params))
        return params

    def send(self, method: str, biz: Any = None, *, timeout: float = 10, stream: bool = False, **changes: Any) -> Any:
        """POST as the official SDKs do it: common parameters in the query, biz_content in the form."""
        params = self.params(method, biz, **changes)
        form = {name: params.pop(name) for name in ("biz_content",) if name in params}
        return self.session.post(self.identity["gateway_url"], params=params, data=form, timeout=timeout, stream=stream)

    def call(self, method: str, biz: Any = None, **changes: Any) -> dict[str, Any]:
        """The value of the answer's node, whose signature was verified unless the answer has none."""
        return self.read(self.send(method, biz, **changes).text)

    def read(self, text: str) -> dict[str, Any]:
        whole = json.loads(text)
        if "sign" in whole:
            assert self.genuine(text), text
        node = next(name for name in whole if name.endswith("_response"))
        return whole[node]

    def genuine(self, text: str) -> bool:
        """Whether `sign` is that of the node's exact text, by the key of our mode."""
        whole = json.loads(text)
        node = next(name for name in whole if name.endswith("_response"))
        start = text.index(f'"{node}":') + len(node) + 3
        _, end = json.JSONDecoder().raw_decode(text, start)
        return self.verified(text[start:end].encode(), whole.get("sign", ""), cert_sn=whole.get("alipay_cert_sn", ""))

    def verified(self, message: bytes, signature: str, *, cert_sn: str) -> bool:
        if self.in_cert_mode:
            if cert_sn != self.identity["alipay_cert_sn"]:
                return False
            key = load_pem_x509_certificate(self.identity["alipay_certificate_pem"].encode()).public_key()
        else:
            key = load_pem_public_key(self.identity["alipay_public_key_pem"].encode())
        try:
            key.verify(base64.b64decode(signature, validate=True), message, padding.PKCS1v15(), hashes.SHA256())
        except Exception:  # noqa: BLE001 - any failure is the answer "no"
            return False
        return True

    def told(self, got: Got) -> dict[str, str]:
        """The parameters of a notification."""
        return dict(parse_qsl(got.body.decode(), keep_blank_values=True))

    def notice_is_genuine(self, got: Got) -> bool:
        params = self.told(got)
        signature = params.pop("sign", "")
        params.pop("sign_type")
        message = "&".join(f"{name}={params[name]}" for name in sorted(params) if params[name]).encode()
        return self.verified(message, signature, cert_sn=params.get("alipay_cert_sn", ""))

    def order(self, yuan: str = "40.30", **changes: Any) -> dict[str, Any]:
        body = {
            "out_trade_no": new_number("A"),
            "total_amount": yuan,
            "subject": "一杯咖啡",
            "product_code": "JSAPI_PAY",
            "buyer_open_id": BUYER,
        } | changes
        return {name: value for name, value in body.items() if value is not None}

    def create(self, biz: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        more.setdefault("notify_url", self.notify_url)
        return self.call("alipay.trade.create", self.order() if biz is None else biz, **more)

    def precreate(self, biz: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        more.setdefault("notify_url", self.notify_url)
        biz = {**(biz or self.order(buyer_open_id=None)), "product_code": "QR_CODE_OFFLINE"}
        return self.call("alipay.trade.precreate", biz, **more)

    def code_order(self, yuan: str = "40.30", **changes: Any) -> dict[str, Any]:
        code = "28" + f"{int(new_number('')[8:]):016d}"
        return self.order(yuan, buyer_open_id=None, product_code=None, scene="bar_code", auth_code=code) | changes

    def pay_by_code(self, biz: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        more.setdefault("notify_url", self.notify_url)
        return self.call("alipay.trade.pay", self.code_order() if biz is None else biz, **more)

    def query(self, number: str, **more: Any) -> dict[str, Any]:
        return self.call("alipay.trade.query", {"out_trade_no": number}, **more)

    def close(self, number: str, **more: Any) -> dict[str, Any]:
        return self.call("alipay.trade.close", {"out_trade_no": number}, **more)

    def cancel(self, number: str, **more: Any) -> dict[str, Any]:
        return self.call("alipay.trade.cancel", {"out_trade_no": number}, **more)

    def paid_order(self, yuan: str = "40.30") -> dict[str, Any]:
        biz = self.order(yuan)
        assert self.create(biz)["code"] == "10000"
        self.sandbox.control.pay(biz["out_trade_no"])
        return biz

    def refund(self, number: str, yuan: str, request_no: str | None = None, **more: Any) -> dict[str, Any]:
        biz = {
            "out_trade_no": number,
            "refund_amount": yuan,
            "out_request_no": request_no or new_number("R"),
            "refund_reason": "退货",
        }
        return self.call("alipay.trade.refund", biz, **more)

    def query_refund(self, number: str, request_no: str, *options: str) -> dict[str, Any]:
        biz = {"out_trade_no": number, "out_request_no": request_no, "query_options": list(options)}
        return self.call("alipay.trade.fastpay.refund.query", biz)
