"""Whose address counts: never one that the caller wrote down itself."""

import pytest
from django.test import RequestFactory

from openplatform.client_ip import UNKNOWN, client_ip


def ask(remote, forwarded=None):
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return client_ip(RequestFactory().get("/", REMOTE_ADDR=remote, **headers))


def test_without_proxies_of_ours_the_peer_counts_and_the_header_does_not(settings):
    settings.TRUSTED_PROXY_COUNT = 0
    assert ask("203.0.113.9", "1.2.3.4") == "203.0.113.9"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "counts"),
    [
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "1.2.3.4, 198.51.100.7", "198.51.100.7"),  # the first was written by the caller
        (2, "1.2.3.4, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (2, "198.51.100.7", "10.0.0.1"),  # came by a way that passes only one of ours
        (1, "", "10.0.0.1"),
        (1, "no address", UNKNOWN),
        (1, '1.2.3.4", "198.51.100.7:50123', UNKNOWN),  # quotes do not reach over a comma
        (1, '"1.2.3.4, 198.51.100.7:50123', "198.51.100.7"),
        (1, "1.2.3.4:1, [2001:db8::7]:50123", "2001:db8::7"),
        (2, '1.2.3.4:80, "[2001:db8::7]:50123", 10.0.0.2:4711', "2001:db8::7"),
    ],
)
def test_behind_proxies_it_stands_that_many_places_from_the_right(settings, proxies, forwarded, counts):
    settings.TRUSTED_PROXY_COUNT = proxies
    assert ask("10.0.0.1", forwarded) == counts


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", UNKNOWN),
    ],
)
def test_one_address_has_one_form(settings, written, normal):
    settings.TRUSTED_PROXY_COUNT = 0
    assert ask(written) == normal


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("198.51.100.7:50123", "198.51.100.7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:50123", "2001:db8::7"),
        ("[::ffff:198.51.100.7]:50123", "198.51.100.7"),
        ("[fe80::1%eth0]:50123", "fe80::1"),
        ("2001:db8::7:443", "2001:db8::7:443"),  # without brackets there is no port
        *((f'"{text}"', normal) for text, normal in [
            ("198.51.100.7", "198.51.100.7"), ("198.51.100.7:50123", "198.51.100.7"), ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]:50123", "2001:db8::7"),
        ]),
    ],
)  # fmt: skip
def test_a_proxy_may_write_a_port_brackets_and_quotes(settings, written, normal):
    settings.TRUSTED_PROXY_COUNT = 1
    assert ask("10.0.0.1", f"1.2.3.4, {written}") == normal


@pytest.mark.parametrize(
    "written",
    [
        "198.51.100.7:", "198.51.100.7:http", "198.51.100.7:123456", "198.51.100.7:80:80", "198.51.100.7:٨٠",
        "[198.51.100.7]", "[198.51.100.7]:80", "[2001:db8::7", "2001:db8::7]", "[[2001:db8::7]]", "[2001:db8::7]80",
        "[2001:db8::7]:", '"198.51.100.7', '198.51.100.7"', '""198.51.100.7""', "'198.51.100.7'", '"', '""', "[]",
        "unknown", "unix:", "_hidden", "for=198.51.100.7", "198.51.100.7 10.0.0.1", "198.51.100.07", "[fe80::1%]]:80",
    ],
)  # fmt: skip
def test_what_is_none_of_these_forms_is_nobodys_address(settings, written):
    settings.TRUSTED_PROXY_COUNT = 1
    assert ask("10.0.0.1", f"1.2.3.4, {written}") == UNKNOWN
