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


def test_two_halves_of_an_authorization_header_make_no_whole(served):
    """A server that joins repeated headers by a comma would make of them exactly what the grammar wants."""
    whole = served.caller.authorization("GET", ECHO)
    scheme, _space, params = whole.partition(" ")
    parts = params.split(",")
    for at in range(1, len(parts)):
        first, second = f"{scheme} {','.join(parts[:at])}", ",".join(parts[at:])
        raw = raw_request("GET", ECHO, authorization=first, headers=[f"Authorization: {second}"])
        status, _headers, body = speak(served.port, raw)
        assert (status, json.loads(body)["code"]) == (401, "SIGN_ERROR"), at
    assert speak(served.port, raw_request("GET", ECHO, authorization=whole))[0] == 200, "the nonce is not used up"


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b',nonce_str="', b',\r\n nonce_str="'),  # a header that goes on in the next line
        lambda raw: raw.replace(b"Authorization:", b"Authorization :"),
        lambda raw: raw.replace(b"\r\nAuthorization", b"\nAuthorization"),  # a line that ends otherwise
        lambda raw: raw.replace(b"Host: localhost", b"Host: localhost\r\nHost: elsewhere"),
        lambda raw: raw.replace(b"Host: localhost\r\n", b"Host: localhost\r\n\x00: x\r\n"),
        lambda raw: raw.replace(b" HTTP/1.1", b" HTTP/1.1 HTTP/1.1"),
        lambda raw: raw.replace(b" HTTP/1.1", b""),
        lambda raw: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + raw,
    ],
    ids=["folded", "space before the colon", "lf", "two hosts", "nul", "two versions", "no version", "http/2"],
)
def test_a_request_that_two_readers_could_read_otherwise_is_not_read_at_all(ask, change):
    assert ask("GET", ECHO, change=change)[0] in {400, 401, 505}


def test_nobody_changes_to_another_protocol(ask):
    headers = ["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]
    change = lambda raw: raw.replace(b"Connection: close", b"Connection: close, Upgrade, HTTP2-Settings")  # noqa: E731
    assert ask("GET", ECHO, headers=headers, change=change) == (200, None)


def answers_on_one_connection(port, raw):
    """Status lines of all answers that come before the server closes or has nothing more to say."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    return [int(part.split(b" ", 1)[0]) for part in received.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize(
    "framing",
    [
        ["Transfer-Encoding: chunked", "Content-Length: {length}"],
        ["Content-Length: {length}", "Transfer-Encoding: chunked"],
        ["Content-Length: {length}", "Transfer-Encoding : chunked"],
        ["Content-Length: {length}", "Transfer-Encoding: \x0bchunked"],
        ["Content-Length: {length}", "Transfer-Encoding: chunked, identity"],
        ["Content-Length: {length}", "X: y\rTransfer-Encoding: chunked"],
        ["Content-Length: {length}", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: {length}"],
        ["Content-Length: 5, {length}"],
        ["Content-Length: +{length}"],
        ["Content-Length: {length}"],  # no trick: what it announces is its body, whatever that looks like
    ],
    ids=str,
)
def test_what_stands_in_a_body_is_never_a_second_request(served, framing):
    """In the eyes of a proxy that goes by the length, all of it is one request."""
    hidden = raw_request("GET", ECHO, authorization=served.caller.authorization("GET", ECHO))
    body = b"0\r\n\r\n" + hidden
    lines = [f"POST {ECHO} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [line.format(length=len(body)) for line in framing]
    raw = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
    got = answers_on_one_connection(served.port, raw)
    assert len(got) == 1, got
    assert got[0] in {400, 401, 411, 501}
    assert speak(served.port, hidden)[0] == 200, "and its nonce is not used up"


@pytest.mark.parametrize(
    "value", [b"\xe2\x91\xa0", b"\xb2", b"\xff\xfe", b"\xa0", b"\xef\xbc\x91", b"\xc5\xbf", b"\x7f", b"\t"]
)
@pytest.mark.parametrize(
    "name",
    ["Authorization", "Content-Length", "Content-Type", "Content-Encoding", "Idempotency-Key", "Prefer", "Host",
     "Fenpay-Serial", "X-Forwarded-For", "traceparent", "Accept", "Accept-Language", "Cookie", "Expect"],
)  # fmt: skip
def test_bytes_that_no_header_has_break_nothing_and_prove_nothing(served, name, value):
    """Numbers that are no digits, spaces that are no spaces, half characters."""
    status, _headers, _body = speak(served.port, raw_with(served, name, value))
    assert status < 500
    if name in {"Authorization", "Content-Length", "Content-Encoding", "Host"} and value != b"\t":
        assert status >= 400


def raw_with(served, name, value):
    """A good request, with `value` behind what this header says, or as all that it says."""
    body = b"{}"
    raw = raw_request("POST", ECHO, body, authorization=served.caller.authorization("POST", ECHO, body))
    line = f"\r\n{name}: ".encode()
    if line not in raw:
        return raw.replace(b"\r\nConnection", line + value + b"\r\nConnection")
    before, _line, rest = raw.partition(line)
    told, end, after = rest.partition(b"\r\n")
    return before + line + told + value + end + after


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
