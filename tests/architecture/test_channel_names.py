"""Adding a channel is a folder and a registry line: nothing else knows one by its name, or by its app on the phone."""

import re

import pytest
from tree import ROOT, files

from payments.channels.registry import CHANNELS

PACKAGES = ("config/", "idgen/", "openplatform/", "payments/")
SUFFIXES = {".py", ".html", ".js", ".css", ".lua"}
FACE = "WeChat Pay's interface, which merchants speak to us (docs/wechatpay-face.md): a door of ours, not the channel"
EXAMPLE = "an example of a request"
# Place and name: why it is there.
LISTED = {
    ("payments/channels/registry.py", "*"): "the registry",
    ("payments/api/wechatpay/", "wechatpay"): FACE,
    ("payments/urls.py", "wechatpay"): FACE,
    ("payments/models/order.py", "wechatpay"): FACE,
    ("payments/operations/notices.py", "wechatpay"): FACE,
    ("payments/operations/roles.py", "wechatpay"): FACE,
    ("payments/console/answers.py", "wechatpay"): FACE,
    ("openplatform/api/checks.py", "wechatpay"): FACE,
    ("openplatform/console/", "wechatpay"): FACE,
    ("openplatform/conformance/", "wechatpay"): FACE,
    ("openplatform/keyring.py", "wechatpay"): FACE,
    ("openplatform/models/", "wechatpay"): FACE,
    ("openplatform/notifications/", "wechatpay"): FACE,
    ("openplatform/signature.py", "wechatpay"): FACE,
    ("openplatform/target.py", "wechatpay"): FACE,
    ("openplatform/templates/", "wechatpay"): FACE,
    ("payments/api/documents.py", "wechatpay"): EXAMPLE,
    ("payments/api/examples.py", "wechatpay"): EXAMPLE,
    ("openplatform/client/__init__.py", "wechatpay"): EXAMPLE,
    ("openplatform/client/__main__.py", "wechatpay"): EXAMPLE,
    ("openplatform/vectors/document.py", "wechatpay"): EXAMPLE,
}


def words_of(channel):
    """What would give it away: its name, what its app's browser calls itself, and the object in that app's pages."""
    bridge = channel.wallet.bridge
    return {channel.name, channel.wallet.agent.strip("/"), *((bridge.object, bridge.call) if bridge else ())}


WORDS = {name: re.compile("|".join(map(re.escape, words_of(channel))), re.IGNORECASE)
         for name, channel in CHANNELS.items()}  # fmt: skip


def places():
    for path in files():
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(PACKAGES) and path.suffix in SUFFIXES and "/migrations/" not in place:
            yield place, path.read_text(encoding="utf-8")


def named_in(place, text):
    """The channels that `text` names, but for the one whose folder it is in."""
    own = [name for name in WORDS if place.startswith(f"payments/channels/{name}/")]
    return {name for name, words in WORDS.items() if name not in own and words.search(text)}


@pytest.fixture(scope="module")
def found():
    return {(place, name) for place, text in places() for name in named_in(place, text)}


def is_listed(place, name):
    return any(place.startswith(where) and name_there in {name, "*"} for where, name_there in LISTED)


def test_no_channel_is_known_by_name_but_in_its_folder_the_registry_and_the_listed_places(found):
    assert sorted((place, name) for place, name in found if not is_listed(place, name)) == []


@pytest.mark.parametrize(("where", "name"), list(LISTED))
def test_a_place_is_listed_only_as_long_as_it_names_one(where, name, found):
    assert [place for place, named in found if place.startswith(where) and name in {named, "*"}]


@pytest.mark.parametrize("name", list(CHANNELS))
def test_each_channel_has_a_folder_of_its_name(name):
    assert (ROOT / "payments" / "channels" / name / "channel.py").is_file()
    assert CHANNELS[name].__module__ == f"payments.channels.{name}.channel"


@pytest.mark.parametrize(
    ("place", "text", "names"),
    [
        ("payments/cashier/x.js", 'const A = { agent: "MicroMessenger" };', {"wechatpay"}),
        ("payments/operations/x.py", 'if channel == "alipay":', {"alipay"}),
        ("payments/operations/x.py", "from payments.channels.unionpay import reading", {"unionpay"}),
        ("payments/channels/alipay/x.py", "# as WechatPay has it", {"wechatpay"}),
        ("payments/channels/alipay/x.py", "alipay", set()),
        ("payments/cashier/x.py", "AlipayJSBridge.call('tradePay')", {"alipay"}),
        ("payments/operations/x.py", "for channel in CHANNELS.values():", set()),
    ],
)
def test_a_name_is_noticed_however_it_is_written(place, text, names):
    assert named_in(place, text) == names
