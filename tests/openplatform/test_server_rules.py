"""Rules of the gate that only a real request on a real server's socket can break."""

import json
import socket
import time

import pytest

from tests.openplatform import harness
from tests.openplatform.servers import raw_request, speak

ECHO = "/openapi/v1/echo"


@pytest.fixture
def ask(served):
    """Send one signed request, some of its lines changed: the status and the code of the answer."""

    def ask(method, target, body=b"", *, headers=(), change=lambda raw: raw):
        authorization = served.caller.authorization(method, target, body)
        raw = raw_request(method, target, body, authorization=authorization, headers=headers)
        status, answered, said = speak(served.port, change(raw))
        is_problem = answered.get("Content-Type") == "application/problem+json"
        return status, (json.loads(said)["code"] if is_problem and said else None)

    return ask


def test_a_sandbox_request_counts_nowhere_on_a_production_server(ask):
    assert ask("GET", f"/sandbox{ECHO}") == (404, "NOT_FOUND")
    for name in ("SCRIPT_NAME", "Script-Name", "PATH_INFO", "X-Script-Name", "X-Forwarded-Prefix"):
        assert ask("GET", f"/sandbox{ECHO}", headers=[f"{name}: /sandbox"])[0] in {400, 404}, name


def test_a_header_cannot_choose_another_address(ask):
    for name in ("PATH_INFO", "RAW_URI", "REQUEST_URI", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override"):
        assert ask("GET", ECHO, headers=[f"{name}: /openapi/v1/things"]) == (200, None), name


def test_a_header_with_an_underscore_is_not_the_header_with_a_dash(ask):
    """`Content_Length` and `Transfer_Encoding` become the same variable as the real ones; the server drops them."""
    assert ask("POST", ECHO, b"{}", headers=["Content_Length: 1"]) == (201, None)
    assert ask("POST", ECHO, b"{}", headers=["Content_Encoding: gzip"]) == (201, None)
    replaced = ask("GET", ECHO, change=lambda raw: raw.replace(b"Authorization:", b"Author_ization:"))
    assert replaced == (401, "SIGN_ERROR")


@pytest.mark.parametrize(
    "headers",
    [
        ["Transfer-Encoding: chunked"],  # beside a Content-Length: two requests in one for whoever reads the other
        ["Content-Length: 3"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: gzip"],
    ],
)
def test_a_body_with_two_lengths_is_refused(ask, headers):
    status, _code = ask("POST", ECHO, b"{}", headers=headers)
    assert status in {400, 411, 501}


def test_two_media_types_are_none(ask):
    assert ask("POST", ECHO, b"{}", headers=["Content-Type: text/plain"])[0] in {400, 415}


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "TRACE", "PUT", "PATCH", "DELETE", "FOO"])
def test_other_methods_are_refused_as_a_server_sees_them(ask, method):
    status, code = ask(method, ECHO)
    assert (status, code) in {(405, "METHOD_NOT_ALLOWED"), (405, None)}  # HEAD has no body


def test_a_method_in_small_letters_is_not_another_spelling(ask):
    assert ask("get", ECHO)[0] in {400, 405}


@pytest.mark.parametrize(
    "target",
    [f"{ECHO}/", "/openapi/v1/echo%2f", "/openapi/v1/echo%00", "/openapi/v1/%2e%2e/echo", "/openapi\\v1\\echo"],
)
def test_no_other_spelling_of_an_address_is_served_or_redirected(ask, target):
    assert ask("GET", target)[0] in {400, 404}


def test_a_target_in_authority_or_asterisk_form_is_refused(ask):
    assert ask("OPTIONS", "*")[0] in {400, 404, 405}
    assert ask("GET", "localhost:443")[0] in {400, 404}


def test_a_body_that_ends_early_is_refused(served):
    body = b'{"a": 1}'
    authorization = served.caller.authorization("POST", ECHO, body)
    raw = raw_request("POST", ECHO, body, authorization=authorization)
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(raw[:-1])
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65_536)
    assert b" 201 " not in answer.partition(b"\r\n")[0]


def test_a_body_that_comes_in_pieces_is_the_body_that_was_signed(served):
    body = json.dumps({"a": "两杯" * 500}, ensure_ascii=False).encode()
    raw = raw_request("POST", ECHO, body, authorization=served.caller.authorization("POST", ECHO, body))
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        for start in range(0, len(raw), 700):
            connection.sendall(raw[start : start + 700])
            time.sleep(0.01)
        assert b" 201 " in connection.recv(65_536).partition(b"\r\n")[0]


def test_a_body_that_is_announced_as_too_large_is_not_waited_for(served):
    head = raw_request("POST", ECHO, headers=["Content-Type: application/json", "Content-Length: 70000"])
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(head)
        assert b" 413 " in connection.recv(65_536).partition(b"\r\n")[0]


@pytest.mark.django_db  # one test of a module must say so, or its database is not made when the module runs alone
def test_every_answer_has_its_headers_whoever_made_it(served):
    signed = served.caller.authorization("GET", ECHO)
    for target, authorization, status in (
        (ECHO, signed, 200), (ECHO, "", 401), (f"{ECHO}?", "", 400), ("/openapi/v1/nothing", "", 404),
    ):  # fmt: skip
        got, headers, body = speak(served.port, raw_request("GET", target, authorization=authorization))
        assert got == status
        assert headers["Cache-Control"] == "no-store"
        assert len(headers["X-Request-Id"]) == 24
        assert headers["Date"]
        assert int(headers["Content-Length"]) == len(body)
        assert ("Fenpay-Signature" in headers) is (status == 200)
        assert "Server" not in headers or "/" not in headers["Server"], "the server's version is nobody's business"


def test_an_answer_is_bound_to_its_request(served):
    params = served.caller.params("GET", ECHO)
    _status, headers, body = speak(served.port, raw_request("GET", ECHO, authorization=harness.header(params)))
    assert headers["Fenpay-Nonce"] == params["nonce_str"]
    assert harness.proves(served.platform_key.public_key_pem, headers, body)
