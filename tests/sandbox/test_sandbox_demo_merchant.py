"""The demo merchant: believes nothing that it cannot verify, remembers each event once, shows people what it knows."""

import base64
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.sandboxes import ROOT, wait_until

APP_ID = "7301234567890123456"


class Fenpay:
    """The side that notifies: a key pair with a serial, and the demo merchant that is notified."""

    def __init__(self, directory: Path) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.serial = secrets.token_hex(16).upper()
        self.directory, self.config = directory, directory / "config.json"
        self.write_config({self.serial: self.key})
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.session = requests.Session()
        self.session.trust_env = False

    def write_config(self, keys: dict[str, rsa.RSAPrivateKey]) -> None:
        format_ = serialization.PublicFormat.SubjectPublicKeyInfo
        pems = {
            serial: key.public_key().public_bytes(serialization.Encoding.PEM, format_).decode()
            for serial, key in keys.items()
        }
        self.config.write_text(json.dumps({"app_id": APP_ID, "platform_keys": pems}))

    def start(self) -> None:
        bind = f"fd://{self.listener.fileno()}"
        arguments = ["--dir", str(self.directory), "--config", str(self.config), "--bind", bind]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
        with (self.directory / "log.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sandbox", "demo-merchant", *arguments],
                cwd=ROOT,
                env=environment,
                pass_fds=(self.listener.fileno(),),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._ready, within_s=30)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def close(self) -> None:
        self.stop()
        self.session.close()
        self.listener.close()

    def log(self) -> list[str]:
        return (self.directory / "log.txt").read_text().splitlines()

    def event(self, **changes: Any) -> dict[str, Any]:
        return {
            "event_id": str(secrets.randbits(62)),
            "type": "order.succeeded",
            "created_at": "2026-01-02T10:34:56+08:00",
            "object_version": 3,
            "app_id": APP_ID,
            "data": {"order_no": "7300000000000000001", "out_trade_no": "A1", "amount": "40.30", "status": "SUCCEEDED"},
        } | changes

    def notify(self, event: Any, **changes: str | None) -> int:
        """Returns the HTTP status of the answer; `changes` replace headers, None removes one."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        timestamp, nonce = changes.get("Fenpay-Timestamp") or str(int(time.time())), secrets.token_hex(8)
        message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        headers: dict[str, str | None] = {
            "Fenpay-Timestamp": timestamp,
            "Fenpay-Nonce": nonce,
            "Fenpay-Serial": self.serial,
            "Fenpay-Signature": base64.b64encode(self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode(),
            "Fenpay-Signature-Type": "FENPAY-SHA256-RSA2048",
        }
        return self.session.post(
            f"{self.base_url}/notify", data=body, headers=headers | changes, timeout=10
        ).status_code

    def get(self, path: str, **query: str) -> requests.Response:
        headers = {"Accept-Language": "zh-CN"}
        return self.session.get(f"{self.base_url}{path}", params=query, headers=headers, timeout=10)

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            return self.get("/healthz").ok
        except requests.RequestException:
            return False


@pytest.fixture(scope="module")
def fenpay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fenpay]:
    made = Fenpay(tmp_path_factory.mktemp("demo-merchant"))
    made.start()
    yield made
    made.close()


def test_a_genuine_notification_is_taken_logged_and_listed(fenpay: Fenpay) -> None:
    event = fenpay.event()
    assert fenpay.notify(event) == 204
    told = f"order.succeeded order_no=7300000000000000001 amount=40.30 event_id={event['event_id']}"
    wait_until(lambda: f"notification verified: {told}" in fenpay.log())
    listed = [row for row in fenpay.get("/received").json() if row["event_id"] == event["event_id"]]
    assert [(row["type"], row["data"], row["times"]) for row in listed] == [("order.succeeded", event["data"], 1)]


def test_a_repeated_notification_is_taken_again_and_remembered_once(fenpay: Fenpay) -> None:
    event = fenpay.event()
    assert [fenpay.notify(event) for _ in range(3)] == [204, 204, 204]
    listed = [row for row in fenpay.get("/received").json() if row["event_id"] == event["event_id"]]
    assert [row["times"] for row in listed] == [3]
    wait_until(lambda: sum(line.endswith(f"{event['event_id']} (seen before)") for line in fenpay.log()) == 2)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"Fenpay-Signature": "AAAA"}, "the signature does not match"),
        ({"Fenpay-Signature": "not base64!"}, "the signature does not match"),
        ({"Fenpay-Signature": None}, "the signature does not match"),
        ({"Fenpay-Nonce": "another"}, "the signature does not match"),
        ({"Fenpay-Timestamp": str(int(time.time()) - 400)}, "more than five minutes off"),
        ({"Fenpay-Timestamp": str(int(time.time()) + 4000)}, "more than five minutes off"),
        ({"Fenpay-Timestamp": "soon"}, "more than five minutes off"),
        ({"Fenpay-Serial": "UNKNOWN"}, "no key with serial 'UNKNOWN'"),
        ({"Fenpay-Signature-Type": "FENPAY-MD5"}, "not signed with FENPAY-SHA256-RSA2048"),
        ({"Fenpay-Signature-Type": None}, "not signed with FENPAY-SHA256-RSA2048"),
    ],
)
def test_what_is_not_genuine_is_refused_with_the_reason_and_forgotten(
    fenpay: Fenpay, changes: dict[str, str | None], why: str
) -> None:
    event, lines = fenpay.event(), len(fenpay.log())
    assert fenpay.notify(event, **changes) == 401
    wait_until(lambda: any(line.startswith("REFUSED: ") and why in line for line in fenpay.log()[lines:]))
    assert event["event_id"] not in fenpay.get("/received").text


def test_a_changed_body_is_refused(fenpay: Fenpay) -> None:
    event = fenpay.event()
    body = json.dumps(event).encode()
    timestamp, nonce = str(int(time.time())), "n"
    message = f"{timestamp}\n{nonce}\n".encode() + body.replace(b"40.30", b"0.01") + b"\n"
    signature = base64.b64encode(fenpay.key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()
    changes = {"Fenpay-Timestamp": timestamp, "Fenpay-Nonce": nonce, "Fenpay-Signature": signature}
    assert fenpay.notify(event, **changes) == 401


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"event_id":"1"}'])
def test_a_signed_body_that_is_no_notification_is_refused(fenpay: Fenpay, body: bytes) -> None:
    assert fenpay.notify(body) == 401


def test_a_notification_for_another_app_is_refused(fenpay: Fenpay) -> None:
    assert fenpay.notify(fenpay.event(app_id="7309999999999999999")) == 401


def test_a_new_key_is_known_without_a_restart(fenpay: Fenpay) -> None:
    old_key, old_serial = fenpay.key, fenpay.serial
    fenpay.key, fenpay.serial = rsa.generate_private_key(public_exponent=65537, key_size=2048), "NEWKEY"
    try:
        assert fenpay.notify(fenpay.event()) == 401
        fenpay.write_config({old_serial: old_key, "NEWKEY": fenpay.key})
        assert fenpay.notify(fenpay.event()) == 204
    finally:
        fenpay.key, fenpay.serial = old_key, old_serial


def test_the_page_for_people_shows_what_was_received(fenpay: Fenpay) -> None:
    event = fenpay.event(type="refund.succeeded", data={"refund_no": "R9", "out_trade_no": "<b>", "amount": "10.00"})
    fenpay.notify(event)
    page = fenpay.get("/")
    for text in ("已验证的通知", "refund.succeeded", "¥10.00", "R9", "&lt;b&gt;"):
        assert text in page.text
    assert "<b>" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "Verified notifications" in fenpay.get("/", lang="en").text


def test_the_return_page_believes_notifications_and_not_its_address(fenpay: Fenpay) -> None:
    waiting = fenpay.get("/return", out_trade_no="RET1", pay="ok", status="SUCCEEDED").text
    assert "暂未收到付款结果" in waiting
    assert 'http-equiv="refresh"' in waiting
    fenpay.notify(fenpay.event(data={"order_no": "1", "out_trade_no": "RET1", "amount": "40.30"}))
    known = fenpay.get("/return", out_trade_no="RET1", pay="cancel").text
    assert "您的付款已到账" in known
    assert 'http-equiv="refresh"' not in known
    assert "Thank you" in fenpay.get("/return", lang="en").text


def a_test_event(fenpay: Fenpay, *, fen: int = 4030, number: str = "FENPAYTEST_4030_17_1", **changes: Any) -> Any:
    data = {"order_no": "17", "out_trade_no": number, "amount": f"{fen / 100:.2f}", "amount_fen": fen}
    return fenpay.event(event_id=f"test_{secrets.randbits(62)}", test=True, data=data) | changes


def test_an_event_that_is_a_test_is_taken_and_kept_apart(fenpay: Fenpay) -> None:
    event = a_test_event(fenpay)
    assert fenpay.notify(event) == 204
    listed = [row for row in fenpay.get("/received").json() if row["event_id"] == event["event_id"]]
    assert [row["is_test"] for row in listed] == [True]
    page = fenpay.get("/").text
    assert re.search(rf"测试.{{0,800}}{event['event_id']}", page, re.DOTALL)
    wait_until(lambda: any(f"TEST verified: order.succeeded event_id={event['event_id']}" in x for x in fenpay.log()))


def test_a_test_never_is_a_paid_order(fenpay: Fenpay) -> None:
    """Whatever number it bears, and whichever of the two marks it has."""
    assert fenpay.notify(a_test_event(fenpay)) == 204
    assert fenpay.notify(a_test_event(fenpay, number="REAL1")) == 204
    assert fenpay.notify(a_test_event(fenpay, number="REAL2", event_id=str(secrets.randbits(62)))) == 204
    assert fenpay.notify(a_test_event(fenpay, number="REAL3", test=False)) == 204
    for number in ("FENPAYTEST_4030_17_1", "REAL1", "REAL2", "REAL3"):
        page = fenpay.get("/return", out_trade_no=number).text
        assert "您的付款已到账" not in page
        assert "暂未收到付款结果" in page


def test_the_amount_of_a_test_is_compared_with_its_number(fenpay: Fenpay) -> None:
    event = a_test_event(fenpay, fen=1)
    assert fenpay.notify(event) == 422
    assert event["event_id"] not in fenpay.get("/received").text


def test_a_very_long_serial_is_not_repeated_in_the_log(fenpay: Fenpay) -> None:
    lines = len(fenpay.log())
    assert fenpay.notify(fenpay.event(), **{"Fenpay-Serial": "F" * 4_000}) == 401
    wait_until(lambda: len(fenpay.log()) > lines)
    assert max(len(line) for line in fenpay.log()[lines:]) < 300


def test_a_restart_remembers(fenpay: Fenpay) -> None:
    event = fenpay.event()
    fenpay.notify(event)
    fenpay.stop()
    fenpay.start()
    assert event["event_id"] in fenpay.get("/received").text
    assert fenpay.notify(event) == 204
    assert [row["times"] for row in fenpay.get("/received").json() if row["event_id"] == event["event_id"]] == [2]
