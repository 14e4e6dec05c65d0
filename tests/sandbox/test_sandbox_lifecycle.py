"""The process: init is idempotent, a restart keeps everything, the end leaves nothing behind; the control API."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from sandbox import identity
from tests.sandbox.alipay_callers import AlipayCaller
from tests.sandbox.callers import Caller, Receiver
from tests.sandboxes import ROOT, ControlRefused, RunningSandbox, wait_until

Make = Callable[..., RunningSandbox]
OPTIONS = ("--compress", "100", "--allow-http-notify")


def processes_of_session(session_id: int) -> list[int]:
    """Every living process in the session that a sandbox was started in."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == session_id and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def test_init_makes_an_identity_once_and_follows_the_address(tmp_path: Path) -> None:
    first = identity.make(tmp_path, base_url="http://127.0.0.1:1").read_text()
    again = identity.make(tmp_path, base_url="http://127.0.0.1:2/").read_text()
    assert json.loads(again)["wechatpay"]["phone_base"] == "http://127.0.0.1:2/phone"
    assert json.loads(again)["alipay"]["gateway_url"] == "http://127.0.0.1:2/gateway.do"
    assert again.replace("http://127.0.0.1:2", "http://127.0.0.1:1") == first


def test_an_identity_of_an_earlier_version_keeps_what_it_has_and_gets_what_it_lacks(tmp_path: Path) -> None:
    made = json.loads(identity.make(tmp_path, base_url="http://127.0.0.1:1").read_text())
    known = json.loads((tmp_path / "platform.json").read_text())
    old = {name: value for name, value in known.items() if name not in {"alipay", "unionpay"}}
    del old["merchants"][0]["sub_merchants"], made["alipay"], made["unionpay"], made["wechatpay"]["sub_merchants"]
    (tmp_path / "platform.json").write_text(json.dumps(old))
    (tmp_path / "identity.json").write_text(json.dumps(made))
    completed = json.loads(identity.make(tmp_path, base_url="http://127.0.0.1:1").read_text())
    assert completed["wechatpay"] | made["wechatpay"] == completed["wechatpay"]
    assert completed["wechatpay"]["sub_merchants"]
    assert completed["alipay"]["app_id"] == identity.load(tmp_path).alipay.app_id
    assert completed["unionpay"]["mer_id"] == identity.load(tmp_path).unionpay.mer_id


def test_the_identity_is_marked_well_formed_and_private(tmp_path: Path) -> None:
    path = identity.make(tmp_path, base_url="http://127.0.0.1:1")
    made = json.loads(path.read_text())
    merchant = made["wechatpay"]
    assert len(merchant["apiv3_key"]) == 32
    for serial in (merchant["merchant_serial_no"], merchant["platform_certificate_serial_no"]):
        assert len(serial) == 40
        assert serial == serial.upper()
    assert merchant["platform_public_key_id"].startswith("PUB_KEY_ID_")
    subject = identity.load(tmp_path).merchants[0]
    assert "SANDBOX" in subject.apiv3_key
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "PRIVATE" not in json.dumps({name: merchant[name] for name in merchant if "private" not in name})


def test_a_restart_keeps_orders_options_rules_and_owed_notifications(fresh_sandbox: Make, receiver: Receiver) -> None:
    sandbox = fresh_sandbox("--allow-http-notify").start()
    receiver.status = 500
    with Caller(sandbox, notify_url=receiver.url) as caller:
        order = caller.paid_order()
        number = order["out_trade_no"]
        wait_until(lambda: sandbox.control.notifications()[0]["attempt_count"] == 1)
        sandbox.control.options(signed_errors=True)
        sandbox.control.add_fault("create", "refused")
        sandbox.stop()
        receiver.status = 204
        sandbox.start()
        assert caller.query(number).json()["trade_state"] == "SUCCESS"
        assert sandbox.control.get("options")["signed_errors"] is True
        assert [rule["fault"] for rule in sandbox.control.get("faults")] == ["refused"]
        sandbox.control.advance(15)
        wait_until(lambda: sandbox.control.notifications()[0]["state"] == "DELIVERED")
    assert len({got.envelope["id"] for got in receiver.got}) == 1


def test_a_killed_sandbox_sends_again_what_it_was_sending(fresh_sandbox: Make, receiver: Receiver) -> None:
    sandbox = fresh_sandbox(*OPTIONS).start()
    receiver.delay_s = 2.0
    with Caller(sandbox, notify_url=receiver.url) as caller:
        caller.paid_order()
        wait_until(lambda: receiver.got)
        os.killpg(sandbox.pid, signal.SIGKILL)
        sandbox.stop()
        receiver.delay_s = 0.0
        sandbox.start()
        wait_until(lambda: sandbox.control.notifications()[0]["state"] == "DELIVERED")
    assert len(receiver.got) == 2


def test_sigterm_ends_it_within_seconds_even_with_a_hanging_call_and_leaves_no_process(
    fresh_sandbox: Make, receiver: Receiver
) -> None:
    sandbox = fresh_sandbox(*OPTIONS).start()
    session_id = sandbox.pid
    with Caller(sandbox, notify_url=receiver.url) as caller:
        with pytest.raises(requests.ReadTimeout):
            caller.create(caller.order(4016), timeout=0.3)
        assert len(processes_of_session(session_id)) >= 2
        assert sandbox.stop() < 6
    wait_until(lambda: processes_of_session(session_id) == [], within_s=3)


def test_a_killed_arbiter_takes_its_worker_along(fresh_sandbox: Make) -> None:
    sandbox = fresh_sandbox(*OPTIONS).start()
    session_id = sandbox.pid
    os.kill(sandbox.pid, signal.SIGKILL)
    sandbox.stop()
    wait_until(lambda: processes_of_session(session_id) == [], within_s=8)


def test_strict_by_default_no_http_no_private_host(fresh_sandbox: Make) -> None:
    sandbox = fresh_sandbox().start()
    with Caller(sandbox, notify_url="https://shop.example.com/callbacks") as caller:
        assert caller.create().status_code == 200
        for url in (
            "http://shop.example.com/callbacks",
            "https://127.0.0.1/callbacks",
            "https://localhost/callbacks",
            "https://10.0.0.1/callbacks",
            "https://intranet/callbacks",
        ):
            assert caller.create(caller.order(notify_url=url)).json()["code"] == "PARAM_ERROR", url


def test_alipay_too_sends_to_private_hosts_only_under_the_switch(fresh_sandbox: Make) -> None:
    sandbox = fresh_sandbox().start()
    with AlipayCaller(sandbox, notify_url="http://shop.example.com/callbacks") as caller:
        assert caller.create()["code"] == "10000"
        for url in ("http://127.0.0.1/callbacks", "https://10.0.0.1/x", "http://intranet/x", "ftp://shop.example.com/"):
            assert caller.create(notify_url=url)["sub_code"] == "isv.invalid-parameter", url


def test_test_values_and_redirect_hosts_are_chosen_at_the_start(fresh_sandbox: Make) -> None:
    sandbox = fresh_sandbox("--no-test-values", "--redirect-host", "shop.example.com").start()
    with Caller(sandbox, notify_url="https://shop.example.com/callbacks") as caller:
        assert caller.create(caller.order(4002)).status_code == 200
        asked = {
            "appid": caller.identity["appid"],
            "redirect_uri": "https://shop.example.com/in",
            "response_type": "code",
            "scope": "snsapi_base",
        }
        answer = requests.get(caller.identity["oauth_authorize_url"], params=asked, allow_redirects=False, timeout=5)
        assert answer.headers["Location"].startswith("https://shop.example.com/in?code=")


def test_the_control_api_wants_its_token(running_sandbox: RunningSandbox) -> None:
    for headers in ({}, {"Sandbox-Token": "wrong"}):
        for method, path in (("GET", "orders"), ("POST", "reset"), ("POST", "clock")):
            answer = requests.request(method, f"{running_sandbox.base_url}/_sandbox/{path}", headers=headers, timeout=5)
            assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "orders/P404404/pay", {}, 404),
        ("POST", "refunds/R404/settle", {"status": "SUCCESS"}, 404),
        ("POST", "refunds/R404/settle", {"status": "PAID"}, 400),
        ("POST", "notifications/404/resend", {}, 404),
        ("POST", "clock", {"advance_s": -1}, 400),
        ("POST", "clock", {"advance_s": "1"}, 400),
        ("PATCH", "options", {"no_such_option": 1}, 400),
        ("PATCH", "options", {"signed_errors": 1}, 400),
        ("DELETE", "orders", None, 405),
    ],
)
def test_mistakes_at_the_control_api_are_named(
    running_sandbox: RunningSandbox, method: str, path: str, body: object, status: int
) -> None:
    with pytest.raises(ControlRefused) as refusal:
        running_sandbox.control.call(method, path, body)
    assert refusal.value.status == status


def test_the_control_api_pays_cancels_and_shows(caller: Caller) -> None:
    control = caller.sandbox.control
    order = caller.order()
    caller.create(order)
    number = order["out_trade_no"]
    assert control.post(f"orders/{number}/cancel")["state"] == "NOTPAY"
    assert control.pay(number)["state"] == "SUCCESS"
    assert [found["out_trade_no"] for found in control.get("orders", state="SUCCESS")] == [number]
    closed = caller.order()
    caller.create(closed)
    caller.close_order(closed["out_trade_no"])
    with pytest.raises(ControlRefused) as refusal:
        control.pay(closed["out_trade_no"])
    assert refusal.value.status == 409
    assert control.pay(closed["out_trade_no"], even_closed=True)["state"] == "SUCCESS"


def test_a_reset_forgets_everything_but_never_gives_a_number_twice(caller: Caller) -> None:
    first = caller.query(caller.paid_order()["out_trade_no"]).json()["transaction_id"]
    caller.sandbox.control.advance(60)
    caller.sandbox.control.reset()
    assert caller.sandbox.control.get("orders") == []
    assert caller.sandbox.control.get("clock")["offset_s"] == 0
    assert caller.query(caller.paid_order()["out_trade_no"]).json()["transaction_id"] != first


def test_the_catalogue_lists_faults_and_test_values(running_sandbox: RunningSandbox) -> None:
    catalogue = running_sandbox.control.get("catalogue")
    assert {"create", "notify_payment"} <= set(catalogue["operations"])
    assert "unknown_but_done" in catalogue["calls"]
    assert sorted(catalogue["values"]) == [f"{value:02d}" for value in range(1, 19)]


def test_an_address_in_use_is_an_error_and_not_a_second_sandbox(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "sandbox", "serve", "--dir", str(tmp_path), "--bind", bind]
        started = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0
        assert "in use" in done.stderr
        assert time.monotonic() - started < 30
