"""The grammar of the Authorization header and of the request's target."""

import base64

import pytest

from openplatform.authorization import AuthorizationMalformed, parse_authorization
from openplatform.target import TargetRefused, check_target
from tests.openplatform.harness import header

GOOD = {
    "mchid": "1234567890123456789",
    "nonce_str": "abcdefghijklmnop",
    "timestamp": "1780000000",
    "serial_no": "SERIAL_01",
    "signature": base64.b64encode(b"x" * 256).decode(),
}


def test_five_parameters_in_any_order_are_read():
    for params in (GOOD, dict(reversed(GOOD.items()))):
        parsed = parse_authorization(header(params))
        assert (parsed.app_id, parsed.timestamp, parsed.nonce) == (1234567890123456789, 1780000000, "abcdefghijklmnop")
        assert parsed.signature == b"x" * 256


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FENPAY-SHA256-RSA2048",
        "FENPAY-SHA256-RSA2048 ",
        "Bearer abc",
        header(GOOD).replace(" ", "  ", 1),
        header(GOOD) + " ",
        " " + header(GOOD),
        header(GOOD).replace('",', '", ', 1),
        header(GOOD) + ',extra="1"',
        header(GOOD) + f',nonce_str="{GOOD["nonce_str"]}"',
        header(GOOD) + "," + header(GOOD),
        header({**GOOD, "nonce": GOOD["nonce_str"]}),
        header({name: value for name, value in GOOD.items() if name != "serial_no"}),
        header(dict(list(GOOD.items())[:4])) + f',mchid="{GOOD["mchid"]}"',
        header(GOOD).replace('"', "'"),
        header(GOOD).replace('="abcdefghijklmnop"', "=abcdefghijklmnop"),
        header(GOOD) + "\n",
        header(GOOD, scheme="fenpay-sha256-rsa2048"),
        header({**GOOD, "signature": "A" * 2_100}),
    ],
)
def test_a_header_of_another_form_is_refused(text):
    with pytest.raises(AuthorizationMalformed):
        parse_authorization(text)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mchid", ["0123456789012345678", "123456789012345", "12345678901234567890", "12345678901234567a", "１" * 18]),
        (
            "timestamp",
            ["0178000000", "178000000", "17800000000", "1780000000.", "+178000000", "１" * 10],
        ),
        ("nonce_str", ["short", "a" * 15, "a" * 65, "abcdefgh ijklmnop", "abcdefghijklmno\u00e9", "abcd:efghijklmnop"]),
        ("serial_no", ["short12", "a" * 65, "SERIAL-01", "SERIAL 01", "*" * 8]),
        (
            "signature",
            ["", "====", "AAA", "AA=A", "AAAA\n", "AAA-", "AAA_", " AAAA", "AB==", "AAB=", GOOD["signature"][:-1]],
        ),
    ],
)
def test_each_parameter_has_one_spelling(name, values):
    for value in values:
        with pytest.raises(AuthorizationMalformed, match=name if value != "AAAA\n" else None):
            parse_authorization(header({**GOOD, name: value}))


KNOWN = frozenset({"limit", "cursor"})


def check(target, path=None):
    check_target(target, path=path or target.partition("?")[0], query_names=KNOWN)


@pytest.mark.parametrize(
    "target",
    [
        "/openapi/v1/orders",
        "/openapi/v1/orders/out-trade-no/A_1-b",
        "/sandbox/openapi/v1/orders",
        "/openapi/v1/orders?limit=5",
        "/openapi/v1/orders?limit=5&cursor=2026-01-02T03:04:05Z",
        "/openapi/v1/" + "a" * 64,
    ],
)
def test_a_plain_target_passes(target):
    check(target)


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/openapi/v1/orders",
        "//openapi/v1/orders",
        "/openapi//v1/orders",
        "/openapi/v1/orders/",
        "/openapi/v1/%6frders",
        "/openapi/v1/a%2Fb",
        "/openapi/v1/../orders",
        "/openapi/v1/./orders",
        "/openapi/v1/or.ders",
        "/openapi/v1/orders;a=1",
        "/openapi/v1/orders#x",
        "/openapi/v1/orders?",
        "/openapi/v1/orders?limit",
        "/openapi/v1/orders?limit=",
        "/openapi/v1/orders?limit=5&",
        "/openapi/v1/orders?&limit=5",
        "/openapi/v1/orders?limit=5&limit=5",
        "/openapi/v1/orders?other=1",
        "/openapi/v1/orders?limit=%35",
        "/openapi/v1/orders?limit=5;cursor=1",
        "/openapi/v1/orders?limit=1+1",
        "/openapi/v1/orders?a?b",
        "/openapi/v1/",
        "/openapi/v1",
        "*",
        "",
        "/openapi/v2/orders",
        "/console/",
        "/openapi/v1/" + "a" * 65,
        "/openapi/v1/orders\n",
        "/openapi/v1/örders",
        "/openapi/v1/orders?limit=" + "1" * 129,
        "/OPENAPI/v1/orders",
    ],
)
def test_every_other_spelling_is_refused(target):
    with pytest.raises(TargetRefused):
        check(target)


def test_a_target_that_was_routed_as_another_path_is_refused():
    with pytest.raises(TargetRefused):
        check("/openapi/v1/orders", path="/openapi/v1/refunds")


def test_a_long_query_is_refused():
    names = frozenset(f"{a}{b}" for a in "abcdefghij" for b in "abcdefghij")
    query = "&".join(f"{name}=0123456789" for name in sorted(names))
    with pytest.raises(TargetRefused, match="too long"):
        check_target(f"/openapi/v1/orders?{query}", path="/openapi/v1/orders", query_names=names)
