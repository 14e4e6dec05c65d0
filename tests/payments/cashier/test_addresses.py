"""Addresses of payers and of channels that name nothing: an answer, and never a crash."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "path",
    [
        "/pay/%00", "/pay/%00?lang=en", "/pay/a%00b", "/pay/a%2Fb", "/pay/%5C", "/pay/%FF", "/pay/" + "a" * 65,
        "/cashier/%00", "/cashier/%00/state", "/cashier/%00/qr.svg", "/cashier/%0A", "/cashier/x.y",
        "/cashier/unknown", "/cashier/unknown/state", "/pay/unknown",
    ],
)  # fmt: skip
def test_a_token_that_names_nothing_is_not_there(path: str):
    assert Client().get(path).status_code == 404


@pytest.mark.parametrize("path", ["/callbacks/wechatpay%00/1", "/callbacks/wechatpay/" + "9" * 30, "/callbacks/no/1"])
def test_a_callback_for_nobody_is_not_there(path: str):
    assert Client().post(path, b"{}", content_type="application/json").status_code == 404


@pytest.mark.parametrize("named", [b"a/b", b"\x00", b"..", b"\xff", b"oauth?x"])
def test_a_state_that_names_no_token_is_refused_without_a_link(named: bytes):
    answer = Client().get(f"/pay/oauth?state={'0' * 40}{named.hex()}")
    assert answer.status_code == 403
    assert "127.0.0.1:8000/pay" not in answer.content.decode()
