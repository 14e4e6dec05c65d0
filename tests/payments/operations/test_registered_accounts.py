"""An operator registers accounts by a command: what is wrong is named, and no secret is ever shown."""

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from openplatform.models import Merchant
from payments.channels.registry import CHANNELS
from payments.models import ChannelAccount
from tests.openplatform import harness

pytestmark = pytest.mark.django_db
KEY = harness.a_key()
VALUES = {
    "wechatpay": (
        {
            "mchid": "1900000001", "appid": "wx1", "merchant_serial_no": "A1", "api_base": "https://api.example",
            "platform_keys": {"PUB_KEY_ID_1": harness.public_pem(KEY)},
        },
        {"private_key_pem": harness.private_pem(KEY), "apiv3_key": "k" * 32},
    ),
    "alipay": (
        {
            "app_id": "2021000000000001", "seller_id": "2088000000000001", "gateway": "https://gw.example/gateway.do",
            "alipay_keys": {"": harness.public_pem(KEY)},
        },
        {"private_key_pem": harness.private_pem(KEY)},
    ),
    "unionpay": (
        {
            "serv_prov_id": "P1", "mer_id": "898000000000001", "api_base": "https://api.example",
            "platform_keys": {"": harness.public_pem(KEY)},
        },
        {"private_key_pem": harness.private_pem(KEY)},
    ),
}  # fmt: skip


def test_every_channel_is_tried():
    assert VALUES.keys() == CHANNELS.keys()


@pytest.fixture(autouse=True)
def models_are_allowed(settings):
    settings.ALLOW_MODEL_CHANNELS = True


@pytest.fixture
def merchant():
    return Merchant.register(name="shop", now=timezone.now())


@pytest.fixture
def run(tmp_path):
    def run(verb, *arguments, settings, secrets):
        files = []
        for name, content in (("settings", settings), ("secrets", secrets)):
            file = tmp_path / f"{name}.json"
            file.write_text(content if isinstance(content, str) else json.dumps(content))
            files += [f"--{name}-file", str(file)]
        out = io.StringIO()
        call_command("channel_account", verb, *arguments, *files, stdout=out)
        return out.getvalue()

    return run


def registering(merchant, channel, *more):
    return "register", "--merchant", str(merchant.pk), "--channel", channel, "--name", "main", *more


@pytest.mark.parametrize("channel", list(VALUES))
def test_an_account_is_registered_with_its_secrets_sealed_and_given_new_keys(run, merchant, channel):
    settings, secrets = VALUES[channel]
    said = run(*registering(merchant, channel), settings=settings, secrets=secrets)
    account = ChannelAccount.objects.get()
    assert said == f"{account.pk} {channel} main\n"
    assert (account.settings, account.secrets(), account.is_active) == (settings, secrets, True)
    new = {**secrets, "private_key_pem": harness.private_pem(harness.a_key())}
    run("replace", "--account", str(account.pk), settings=settings, secrets=new)
    account.refresh_from_db()
    assert account.secrets() == new


@pytest.mark.parametrize("channel", list(VALUES))
@pytest.mark.parametrize(
    ("where", "changes", "said"),
    [
        ("settings", {"mchild": "1"}, "settings: mchild is not known"),
        ("secrets", {"private_key_pem": "s3cr3t"}, "private_key_pem is not an RSA private key"),
        ("secrets", {"private_key_pem": ""}, "secrets: private_key_pem is empty"),
        ("secrets", {"s3cr3t_key": "s3cr3t"}, "secrets: s3cr3t_key is not known"),
        ("secrets", None, "secrets: private_key_pem is missing"),
        ("keys", {"": "no key"}, "'' is not an RSA public key"),
        ("keys", ["a"], "must map serial numbers"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(run, merchant, channel, where, changes, said):
    settings, secrets = VALUES[channel]
    if where == "keys":
        settings = settings | {CHANNELS[channel].account_shape.their_keys: changes}
    elif where == "settings":
        settings = settings | changes
    else:
        secrets = {} if changes is None else secrets | changes
    with pytest.raises(CommandError, match=said) as refused:
        run(*registering(merchant, channel), settings=settings, secrets=secrets)
    assert 's3cr3t"' not in str(refused.value)
    assert "BEGIN" not in str(refused.value)
    assert not ChannelAccount.objects.exists()


@pytest.mark.parametrize("content", ["{", "[]", '"s3cr3t"'])
def test_a_file_that_is_no_object_is_refused_without_its_text(run, merchant, content):
    with pytest.raises(CommandError, match="is not a JSON object") as refused:
        run(*registering(merchant, "alipay"), settings=VALUES["alipay"][0], secrets=content)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("channel", list(VALUES))
def test_the_numbers_of_another_account_are_another_account(run, merchant, channel):
    settings, secrets = VALUES[channel]
    run(*registering(merchant, channel), settings=settings, secrets=secrets)
    account = ChannelAccount.objects.get()
    for number in settings.keys() & CHANNELS[channel].account_shape.identity:
        with pytest.raises(CommandError, match="is another account: register it"):
            run("replace", "--account", str(account.pk), settings=settings | {number: "2"}, secrets=secrets)
    assert ChannelAccount.objects.get().settings == settings


def test_an_account_at_a_model_of_a_channel_is_refused_by_name(run, merchant, settings):
    settings.ALLOW_MODEL_CHANNELS = False
    values, secrets = VALUES["unionpay"]
    with pytest.raises(CommandError, match="ALLOW_MODEL_CHANNELS is off here"):
        run(*registering(merchant, "unionpay"), settings=values, secrets=secrets)
    assert not ChannelAccount.objects.exists()


def test_one_active_account_for_each_rank(run, merchant):
    settings, secrets = VALUES["alipay"]
    run(*registering(merchant, "alipay"), settings=settings, secrets=secrets)
    with pytest.raises(CommandError, match="rank"):
        run(*registering(merchant, "alipay"), settings=settings, secrets=secrets)
    run(*registering(merchant, "alipay", "--rank", "1"), settings=settings | {"app_id": "2"}, secrets=secrets)
    assert ChannelAccount.objects.count() == 2


@pytest.mark.parametrize("arguments", [["register", "--merchant", "7", "--channel", "alipay", "--name", "x"],
                                       ["replace", "--account", "7"]])  # fmt: skip
def test_what_is_not_there_is_said(run, arguments):
    with pytest.raises(CommandError, match="There is no such"):
        run(*arguments, settings=VALUES["alipay"][0], secrets=VALUES["alipay"][1])
