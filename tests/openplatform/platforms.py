"""The platform as a client meets it, good and bad: scripted answers on a free port, signed or not."""

import json
import time
from contextlib import contextmanager

from openplatform.client import Config
from openplatform.signature import answer_message, sign_rsa
from tests.openplatform import harness
from tests.openplatform.merchants import merchant_server

PLATFORM, OTHER, OURS = harness.a_key(), harness.a_key(), harness.a_key()
SERIAL = "PLATFORM_KEY_1"
APP_ID = "1234567890123456789"
NOTIFICATION_NONCE = "n" * 16

ORDER = {
    "app_id": APP_ID, "order_no": "17", "out_trade_no": "A1", "status": "PAYING", "amount": "40.30",
    "amount_fen": 4030, "refunded": "0.00", "refunded_fen": 0, "currency": "CNY", "subject": "咖啡",
    "channel": "wechatpay", "method": "native", "channel_trade_no": None, "failure_code": None, "metadata": {},
    "created_at": "2026-01-02T03:04:05Z", "expires_at": "2026-01-02T05:04:05Z", "paid_at": None, "closed_at": None,
    "version": 2, "cashier_url": "https://pay.example/cashier/x", "jsapi": None, "code_url": "weixin://x",
    "next_check_at": None, "resolve_by": None, "trace_id": None,
}  # fmt: skip
REFUND = {
    "app_id": APP_ID, "refund_no": "18", "out_refund_no": "R1", "order_no": "17", "out_trade_no": "A1",
    "status": "PROCESSING", "amount": "10.00", "amount_fen": 1000, "currency": "CNY", "reason": "",
    "channel_refund_no": None, "failure_code": None, "created_at": "2026-01-02T03:04:05Z", "succeeded_at": None,
    "version": 1, "next_check_at": "2026-01-02T03:05:05Z", "trace_id": None,
}  # fmt: skip


class Platform:
    """Answers each request with the next of `script`: a status (None hangs up), a document, and how it is signed."""

    def __init__(self, *script):
        self.script = list(script)
        self.server = None

    def __call__(self, connection):
        status, document, signing = self.script.pop(0)
        if status is None:
            return
        more = signing.get("headers", ["Retry-After: 0"])
        signing = {name: value for name, value in signing.items() if name != "headers"}
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *more]
        lines += signed(body, **{"nonce": nonce_of(self.server.requests[-1])} | signing)
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def nonce_of(request):
    return request.headers["Authorization"].split('nonce_str="')[1].split('"')[0]


def signed(
    body, *, key=PLATFORM, serial=SERIAL, late_by_s=0, over=None, scheme="FENPAY-SHA256-RSA2048", absent=False,
    nonce=NOTIFICATION_NONCE,
):  # fmt: skip
    """The lines of a signature; each argument is a way to spoil it."""
    if absent:
        return []
    timestamp = str(int(time.time()) - late_by_s)
    signature = sign_rsa(key, answer_message(timestamp=timestamp, nonce=nonce, body=over or body))
    return [
        f"Fenpay-Timestamp: {timestamp}", f"Fenpay-Nonce: {nonce}", f"Fenpay-Serial: {serial}",
        f"Fenpay-Signature: {signature}", f"Fenpay-Signature-Type: {scheme}",
    ]  # fmt: skip


def config(port=1, **changes):
    values = {
        "base_url": f"http://127.0.0.1:{port}", "app_id": APP_ID, "serial_no": "MERCHANT_KEY_1", "private_key": OURS,
        "platform_keys": {SERIAL: PLATFORM.public_key()},
    }  # fmt: skip
    return Config(**(values | changes))


@contextmanager
def platform(*script):
    """A server that speaks `script`; its `requests` are what reached it."""
    behaviour = Platform(*script)
    with merchant_server(
        behaviour, for_us=lambda request: APP_ID in request.headers.get("Authorization", "")
    ) as server:
        behaviour.server = server
        yield server
