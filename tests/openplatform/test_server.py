"""The gate behind a real web server with two processes: what only a real request line and real processes can show."""

import json
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.utils import timezone

from openplatform.models import App, AppKey
from openplatform.scopes import Scope
from tests.openplatform import harness, openssl
from tests.openplatform.servers import ROOT, raw_request, speak

ECHO = "/openapi/v1/echo"


@pytest.fixture
def port(served):
    return served.port


@pytest.fixture
def caller(served):
    return served.caller


@pytest.fixture
def platform_key(served):
    return served.platform_key


@pytest.fixture
def rows(served, django_db_blocker):
    with django_db_blocker.unblock():
        yield


def code_of(answer):
    return answer[0], json.loads(answer[2]).get("code")


@pytest.mark.django_db  # one test of a module must say so, or its database is not made when the module runs alone
def test_of_many_copies_of_one_request_to_two_processes_exactly_one_passes(caller, port):
    for _ in range(10):
        request = raw_request("POST", ECHO, b"{}", authorization=caller.authorization("POST", ECHO, b"{}"))
        with ThreadPoolExecutor(8) as pool:
            answers = Counter(code_of(answer) for answer in pool.map(speak, [port] * 8, [request] * 8))
        assert answers == {(201, None): 1, (401, "REPLAYED_NONCE"): 7}


def test_of_many_copies_under_one_idempotency_key_in_two_processes_exactly_one_is_carried_out(caller, port):
    target, body = "/openapi/v1/counted", b'{"status": 201, "sleep_s": 0.3}'
    for turn in range(3):
        requests = [
            raw_request(
                "POST", target, body, authorization=caller.authorization("POST", target, body),
                headers=[f"Idempotency-Key: a-key-of-turn-{turn:04}"],
            )
            for _ in range(8)
        ]  # fmt: skip
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(speak, [port] * 8, requests))
        assert {code_of(answer) for answer in answers} <= {(201, None), (409, "IDEMPOTENCY_IN_PROGRESS")}
        created = [headers for status, headers, _body in answers if status == 201]
        assert sum("Idempotent-Replayed" not in headers for headers in created) == 1
        status, headers, _body = speak(
            port,
            raw_request(
                "POST", target, body, authorization=caller.authorization("POST", target, body),
                headers=[f"Idempotency-Key: a-key-of-turn-{turn:04}"],
            ),
        )  # fmt: skip
        assert (status, headers["Idempotent-Replayed"]) == (201, "true")


def test_the_request_line_counts_as_it_was_sent(caller, port):
    def ask(raw, *, method="GET", body=b"", headers=(), authorization=None):
        authorization = authorization or caller.authorization(method, raw, body)
        return code_of(speak(port, raw_request(method, raw, body, authorization=authorization, headers=headers)))

    assert ask(ECHO) == (200, None)
    assert ask(f"{ECHO}?limit=5") == (200, None)
    for raw in (
        f"http://localhost{ECHO}", f"http://evil.example{ECHO}", "/openapi/v1/ech%6f", f"{ECHO}?", f"{ECHO}?limit=%35",
        f"{ECHO}?limit=5&limit=6", f"{ECHO}?nothing=1", f"{ECHO}/a;b", f"{ECHO}/a.b", f"{ECHO}#fragment",
    ):  # fmt: skip
        assert ask(raw) == (400, "INVALID_REQUEST"), raw
    assert ask(f"{ECHO}?limit=5", authorization=caller.authorization("GET", ECHO)) == (401, "SIGN_ERROR")


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "rot13", "idna", "unicode_escape", "nothing"])
def test_the_charset_of_a_header_that_nobody_signed_does_not_change_a_signed_query(caller, port, charset):
    def ask(target, *headers):
        authorization = caller.authorization("GET", target)
        return code_of(speak(port, raw_request("GET", target, authorization=authorization, headers=headers)))

    listing = "/openapi/v1/notifications?limit=10&status="
    for headers in ([], [f"Content-Type: x/y; charset={charset}"]):
        assert ask(f"{listing}held", *headers) == (200, None)
        assert ask(f"{listing}none", *headers) == (400, "PARAM_ERROR")


def test_a_chunked_body_is_refused_and_does_not_become_an_empty_one(caller, port):
    authorization = caller.authorization("POST", ECHO, b"")
    request = raw_request(
        "POST", ECHO, authorization=authorization,
        headers=["Content-Type: application/json", "Transfer-Encoding: chunked"],
    ) + b"2\r\n{}\r\n0\r\n\r\n"  # fmt: skip
    assert code_of(speak(port, request)) == (411, "LENGTH_REQUIRED")


@pytest.mark.django_db  # one test of a file must say so: pytest-django makes no database for a file that asks for none
def test_two_authorization_headers_are_none(caller, port):
    first, second = (caller.authorization("GET", ECHO) for _ in range(2))
    request = raw_request("GET", ECHO, authorization=first, headers=[f"Authorization: {second}"])
    assert code_of(speak(port, request)) == (401, "SIGN_ERROR")


def test_the_bytes_that_are_sent_are_the_bytes_that_were_signed(caller, port, platform_key):
    for method, target, body in (("POST", ECHO, '{"a": "成"}'.encode()), ("GET", "/openapi/v1/breaks/bug", b"")):
        authorization = caller.authorization(method, target, body)
        _status, headers, sent = speak(port, raw_request(method, target, body, authorization=authorization))
        assert int(headers["Content-Length"]) == len(sent)
        assert harness.proves(platform_key.public_key_pem, headers, sent)
        assert not harness.proves(platform_key.public_key_pem, headers, sent + b" ")


def test_a_request_that_is_refused_before_its_body_is_read_does_not_spoil_the_next_one(caller, port):
    body = b'{"a": "' + b"GET /openapi/v1/echo HTTP/1.1" + b'"}'
    bad = raw_request("POST", ECHO, body, headers=["X-Nothing: 1"]).replace(b"Connection: close\r\n", b"")
    good = raw_request("GET", ECHO, authorization=caller.authorization("GET", ECHO))
    _status, _headers, rest = speak(port, bad + good)
    assert rest.count(b"HTTP/1.1 200 OK") == 1
    assert b"SIGN_ERROR" in rest


def test_a_revoked_key_is_refused_by_every_process_within_five_seconds(served, port, rows):
    caller = harness.Caller(served.caller.app, key=harness.a_key())

    def codes():
        requests = [raw_request("GET", ECHO, authorization=caller.authorization("GET", ECHO)) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            return {status for status, _headers, _body in pool.map(speak, [port] * 8, requests)}

    assert codes() == {200}
    AppKey.objects.get(pk=caller.serial_no).revoke(now=timezone.now())
    time.sleep(5.0)
    assert codes() == {401}


def cli(config, *arguments):
    command = [sys.executable, "-m", "openplatform.client", "--config", str(config), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def config(tmp_path, caller, port, platform_key):
    (tmp_path / "key.pem").write_text(harness.private_pem(caller.key))
    document = {
        "base_url": f"http://127.0.0.1:{port}", "app_id": str(caller.app.pk), "serial_no": caller.serial_no,
        "private_key_path": "key.pem", "platform_keys": {platform_key.pk: platform_key.public_key_pem},
    }  # fmt: skip
    (tmp_path / "client.json").write_text(json.dumps(document))
    return tmp_path / "client.json"


def test_the_command_line_client_calls_verifies_and_tells_refusals(config, caller, port):
    answer = cli(config, "get", "/openapi/v1/platform-keys")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["app_id"] == str(caller.app.pk)
    answer = cli(config, "post", ECHO, '{"amount": 40.3}')
    assert json.loads(answer.stdout)["got"] == {"amount": "40.3"}
    answer = cli(config, "post", "/openapi/v1/things", "{}")
    assert answer.returncode == 1
    assert "PARAM_ERROR" in answer.stderr
    document = json.loads(config.read_text()) | {"serial_no": "NO_SUCH_KEY"}
    config.write_text(json.dumps(document))
    answer = cli(config, "get", ECHO)
    assert answer.returncode == 1
    assert "refused (not signed)" in answer.stderr
    assert "SIGN_ERROR" in answer.stderr


def test_the_printed_curl_command_works_once(config, port):
    printed = cli(config, "post", ECHO, '{"subject": "it\'s 两杯"}', "--curl")
    assert printed.returncode == 0, printed.stderr
    first, second = (
        subprocess.run(["sh", "-c", printed.stdout], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert "HTTP/1.1 201" in first
    assert "it's 两杯" in first
    assert "REPLAYED_NONCE" in second


@pytest.fixture
def managed(config, served, rows):
    """The configuration of a key that manages keys, and may do everything else."""
    key = harness.a_key()
    caller = harness.Caller(harness.an_app(), key=key, scopes=Scope.values)
    (config.parent / "key.pem").write_text(harness.private_pem(key))
    document = json.loads(config.read_text()) | {"app_id": str(caller.app.pk), "serial_no": caller.serial_no}
    config.write_text(json.dumps(document))
    return config


def said(answer):
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.mark.parametrize("algorithm", ["RSA-SHA256", "ED25519"])
def test_the_client_registers_a_pair_that_openssl_made_and_goes_on_with_it(managed, tmp_path, algorithm):
    pair = openssl.Pair(tmp_path / "new", algorithm=algorithm)
    registered = said(cli(managed, "register-key", "--private-key", str(pair.private), "--scope", "queries:read"))
    assert (registered["status"], registered["algorithm"]) == ("active", algorithm)
    assert registered["serial_no"] in {key["serial_no"] for key in said(cli(managed, "keys"))["keys"]}
    document = json.loads(managed.read_text())
    document |= {"serial_no": registered["serial_no"], "private_key_path": str(pair.private)}
    other = managed.with_name("other.json")
    other.write_text(json.dumps(document))
    assert said(cli(other, "get", ECHO))["app_id"] == document["app_id"]
    assert said(cli(managed, "retire-key", registered["serial_no"]))["status"] == "retiring"
    assert said(cli(managed, "revoke-key", registered["serial_no"]))["status"] == "revoked"
    last = cli(managed, "revoke-key", json.loads(managed.read_text())["serial_no"])
    assert (last.returncode, "KEY_LAST_MANAGER" in last.stderr) == (1, True)


def test_the_client_registers_a_key_that_decrypts(managed, tmp_path):
    pair = openssl.Pair(tmp_path / "new", algorithm="RSA")
    registered = said(cli(managed, "register-key", "--private-key", str(pair.private), "--purpose", "encrypt"))
    assert (registered["status"], registered["algorithm"], registered["scopes"]) == ("active", "RSA-OAEP-256", [])


def test_a_revocation_by_api_is_in_force_at_once_on_every_process(served, port, managed):
    document = json.loads(managed.read_text())
    app = App.objects.get(pk=document["app_id"])
    victim = harness.Caller(app, key=harness.a_key())

    def codes():
        requests = [raw_request("GET", ECHO, authorization=victim.authorization("GET", ECHO)) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            return {status for status, _headers, _body in pool.map(speak, [port] * 8, requests)}

    assert codes() == {200}
    said(cli(managed, "revoke-key", victim.serial_no))
    assert codes() == {401}
