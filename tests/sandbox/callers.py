"""A merchant's side of the protocol, written for the tests alone and able to do everything wrong on purpose."""

import base64
import itertools
import json
import secrets
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from urllib3.util import SKIP_HEADER

from tests.certificates import private_key
from tests.sandboxes import RunningSandbox

_numbers = itertools.count(1)


def new_number(prefix: str = "P") -> str:
    return f"{prefix}{secrets.token_hex(4)}{next(_numbers):06d}"


class Caller:
    """Signed calls to the sandbox. Every part of a request can be replaced to see it refused."""

    def __init__(self, sandbox: RunningSandbox, *, notify_url: str) -> None:
        self.sandbox, self.identity, self.notify_url = sandbox, sandbox.wechatpay, notify_url
        self.key = private_key(self.identity["merchant_private_key_pem"])
        self.session = requests.Session()
        self.session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.session.close()

    def sign(self, message: bytes) -> str:
        return base64.b64encode(self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()

    def authorization(self, method: str, target: str, body: bytes, **changes: str) -> str:
        parts = {
            "mchid": self.identity["mchid"],
            "nonce_str": secrets.token_hex(16).upper(),
            "timestamp": str(int(time.time())),
            "serial_no": self.identity["merchant_serial_no"],
        } | changes
        message = f"{method}\n{target}\n{parts['timestamp']}\n{parts['nonce_str']}\n".encode() + body + b"\n"
        parts.setdefault("signature", self.sign(message))
        return "WECHATPAY2-SHA256-RSA2048 " + ",".join(f'{name}="{value}"' for name, value in parts.items())

    def send(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        headers: dict[str, str | None] | None = None,
        timeout: float = 10,
        stream: bool = False,
        **changes: str,
    ) -> requests.Response:
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent: dict[str, str | None] = {
            "Authorization": self.authorization(method, target, content, **changes),
            "Accept": "application/json",
            "User-Agent": "fenpay tests",
            "Wechatpay-Serial": self.identity["platform_public_key_id"],
        }
        if content:
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        request = requests.Request(method, self.sandbox.base_url + target, data=content or None)
        prepared = self.session.prepare_request(request)
        prepared.url = self.sandbox.base_url + target  # exactly these bytes
        for name, value in sent.items():
            prepared.headers.pop(name, None)
            if value is not None:
                prepared.headers[name] = value
            elif name == "User-Agent":
                prepared.headers[name] = SKIP_HEADER  # else urllib3 would add its own
        return self.session.send(prepared, timeout=timeout, stream=stream)

    def order(self, fen: int = 4030, **changes: Any) -> dict[str, Any]:
        body = {
            "appid": self.identity["appid"],
            "mchid": self.identity["mchid"],
            "description": "一杯咖啡",
            "out_trade_no": new_number(),
            "notify_url": self.notify_url,
            "amount": {"total": fen, "currency": "CNY"},
            "payer": {"openid": "oSandboxUser0001"},
        } | changes
        return {name: value for name, value in body.items() if value is not None}

    def create(self, body: dict[str, Any] | None = None, *, product: str = "jsapi", **more: Any) -> requests.Response:
        body = self.order() if body is None else body
        if product == "native":
            body = {name: value for name, value in body.items() if name != "payer"}
        return self.send("POST", f"/v3/pay/transactions/{product}", body, **more)

    def code_order(self, fen: int = 4030, **changes: Any) -> dict[str, Any]:
        code = f"13{int(new_number('')[8:]):016d}"
        wanted = {"payer": {"auth_code": code}, "scene_info": {"device_id": "T1"}, "notify_url": None}
        return self.order(fen, **(wanted | changes))

    def pay_by_code(self, body: dict[str, Any] | None = None, **more: Any) -> requests.Response:
        body = self.code_order() if body is None else body
        return self.send("POST", "/v3/pay/transactions/codepay", body, **more)

    def reverse(self, number: str, **more: Any) -> requests.Response:
        body = {"appid": self.identity["appid"], "mchid": self.identity["mchid"]}
        return self.send("POST", f"/v3/pay/transactions/out-trade-no/{number}/reverse", body, **more)

    def query(self, number: str, **more: Any) -> requests.Response:
        return self.send("GET", f"/v3/pay/transactions/out-trade-no/{number}?mchid={self.identity['mchid']}", **more)

    def close_order(self, number: str, **more: Any) -> requests.Response:
        target = f"/v3/pay/transactions/out-trade-no/{number}/close"
        return self.send("POST", target, {"mchid": self.identity["mchid"]}, **more)

    def paid_order(self, fen: int = 4030) -> dict[str, Any]:
        body = self.order(fen)
        assert self.create(body).status_code == 200
        self.sandbox.control.pay(body["out_trade_no"])
        return body

    def refund(self, order: dict[str, Any], fen: int, **changes: Any) -> requests.Response:
        timeout = changes.pop("timeout", 10)
        body = {
            "out_trade_no": order["out_trade_no"],
            "out_refund_no": new_number("R"),
            "notify_url": self.notify_url,
            "amount": {"refund": fen, "total": order["amount"]["total"], "currency": "CNY"},
        } | changes
        body = {name: value for name, value in body.items() if value is not None}
        return self.send("POST", "/v3/refund/domestic/refunds", body, timeout=timeout)

    def query_refund(self, number: str) -> requests.Response:
        return self.send("GET", f"/v3/refund/domestic/refunds/{number}")

    def page_parameters(self, prepay_id: str, **changes: str) -> dict[str, str]:
        """What the merchant's page hands to getBrandWCPayRequest."""
        found = {
            "appId": self.identity["appid"],
            "timeStamp": str(int(time.time())),
            "nonceStr": secrets.token_hex(8),
            "package": f"prepay_id={prepay_id}",
        }
        message = "".join(f"{value}\n" for value in found.values()).encode()
        return found | {"signType": "RSA", "paySign": self.sign(message)} | changes

    def genuine(self, headers: Any, body: bytes) -> bool:
        """Whether the platform's signature on an answer or a notification holds, by the key that it names."""
        keys = {
            self.identity["platform_public_key_id"]: load_pem_public_key(
                self.identity["platform_public_key_pem"].encode()
            ),
            self.identity["platform_certificate_serial_no"]: load_pem_x509_certificate(
                self.identity["platform_certificate_pem"].encode()
            ).public_key(),
        }
        key = keys.get(headers.get("Wechatpay-Serial", ""))
        if key is None or abs(time.time() - int(headers["Wechatpay-Timestamp"])) >= 300:
            return False
        message = f"{headers['Wechatpay-Timestamp']}\n{headers['Wechatpay-Nonce']}\n".encode() + body + b"\n"
        try:
            signature = base64.b64decode(headers["Wechatpay-Signature"], validate=True)
            key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except Exception:  # noqa: BLE001 - any failure is the answer "no"
            return False
        return True

    def opened(self, envelope: bytes) -> dict[str, Any]:
        """The decrypted resource of a notification."""
        resource = json.loads(envelope)["resource"]
        cipher = AESGCM(self.identity["apiv3_key"].encode())
        sealed = base64.b64decode(resource["ciphertext"])
        return json.loads(cipher.decrypt(resource["nonce"].encode(), sealed, resource["associated_data"].encode()))


@dataclass(frozen=True)
class Got:
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def envelope(self) -> dict[str, Any]:
        return json.loads(self.body)


class Receiver:
    """An HTTP server on a free port that keeps what is posted to it and answers what it is told to."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.status = 204
        self.body = b""  # what it answers; Alipay and UnionPay want `success`
        self.statuses: list[int] = []  # used up first
        self.delay_s = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(Got(headers=dict(self.headers.items()), body=body, at=time.time()))
                time.sleep(outer.delay_s)
                status = outer.statuses.pop(0) if outer.statuses else outer.status
                self.send_response(status)
                self.send_header("Content-Length", str(len(outer.body)))
                if status in {301, 302, 307}:
                    self.send_header("Location", outer.url)
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/callbacks"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
