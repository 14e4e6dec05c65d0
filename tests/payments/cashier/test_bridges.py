"""The page opens the sheet of each app as its channel declares it, and reads what the app says of it."""

from dataclasses import asdict

import pytest

from payments.channels.registry import CHANNELS
from tests.payments.cashier import states

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]

BRIDGES = {name: channel.wallet.bridge for name, channel in CHANNELS.items() if channel.wallet.bridge}
# Opens the sheet on a stand-in for the app's object, which answers at once; returns what it was called with, and how
# the page takes its answer.
OPEN = """async ({ bridge, given, said }) => {
  const { bridgeOf } = await import("/static/cashier/bridge.js");
  let called = null;
  window[bridge.object] = { [bridge.method](...call) { const then = call.pop(); called = call; then(said); } };
  return { outcome: await bridgeOf({ agent: "x", bridge }).openSheet(given), called };
}"""


@pytest.fixture
def page(phone):
    return phone.open(f"/cashier/{states.order_in('paid').cashier_token}")


@pytest.mark.parametrize("channel", list(BRIDGES))
def test_the_sheet_is_handed_its_parameters_and_nothing_else(page, channel):
    bridge = BRIDGES[channel]
    given = {name: name.upper() for name in (*bridge.parameters, "more")}
    found = page.evaluate(OPEN, {"bridge": asdict(bridge), "given": given, "said": None})
    assert found["called"] == [bridge.call, {name: name.upper() for name in bridge.parameters}]
    assert found["outcome"] == bridge.otherwise


@pytest.mark.parametrize(
    ("channel", "said", "outcome"),
    [
        ("wechatpay", {"err_msg": "get_brand_wcpay_request:ok"}, "ok"),
        ("wechatpay", {"err_msg": "get_brand_wcpay_request:cancel"}, "cancel"),
        ("wechatpay", {"err_msg": "get_brand_wcpay_request:fail"}, "fail"),
        ("wechatpay", {"err_msg": "constructor"}, "fail"),
        ("wechatpay", {}, "fail"),
        ("alipay", {"resultCode": "9000"}, "ok"),
        ("alipay", {"resultCode": 6001}, "cancel"),
        ("alipay", {"resultCode": "4000"}, "fail"),
        ("alipay", {"resultCode": "6004"}, "ok"),
        ("alipay", {"resultCode": "toString"}, "ok"),
    ],
)
def test_what_the_app_says_is_read_as_its_channel_declares(page, channel, said, outcome):
    given = dict.fromkeys(BRIDGES[channel].parameters, "x")
    assert page.evaluate(OPEN, {"bridge": asdict(BRIDGES[channel]), "given": given, "said": said})["outcome"] == outcome
