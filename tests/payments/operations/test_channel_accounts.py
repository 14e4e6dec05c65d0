"""An account stays the one that its open payments were sent to, and a model of a channel gets no real money."""

import pytest

from payments.channels.registry import CHANNELS
from payments.models import ChannelAccount
from payments.operations import accounts
from payments.operations.accounts import ModelChannelNotAllowed, active_account, next_account
from payments.operations.channel_accounts import activate_account
from tests import factories
from tests.factories import NOW, the_payment

pytestmark = pytest.mark.django_db(transaction=True)
MODELS = [name for name, channel in CHANNELS.items() if channel.is_model]
NUMBERS = [(name, number) for name, channel in CHANNELS.items() for number in sorted(channel.account_shape.identity)]


def an_account(*, channel, app=None, **more):
    merchant = (app or factories.an_app(with_account=False)).merchant
    values = {"name": "a", "settings": {"any": "thing"}, "secrets": {}, "now": NOW} | more
    return ChannelAccount.register(merchant=merchant, channel=channel, **values)


@pytest.mark.parametrize(("channel", "number"), NUMBERS)
def test_settings_with_another_number_of_theirs_name_another_account(channel, number):
    """Under another number the channel knows none of the open payments, and they would be closed as never arrived."""
    settings = dict.fromkeys(CHANNELS[channel].account_shape.identity, "1")
    account = an_account(channel=channel, settings=settings)
    assert not accounts.is_another(account, settings | {"api_base": "https://other.example"})
    assert accounts.is_another(account, settings | {number: "3"})
    assert accounts.is_another(account, {key: value for key, value in settings.items() if key != number})


def test_there_is_a_model_and_there_are_channels_that_are_none():
    assert 0 < len(MODELS) < len(CHANNELS)


@pytest.mark.parametrize("channel", MODELS)
def test_a_model_takes_play_money_only_unless_this_deployment_says_otherwise(channel, settings):
    app = factories.an_app(with_account=False)
    account = an_account(channel=channel, app=app)
    with pytest.raises(ModelChannelNotAllowed):
        active_account(app=app, channel=channel, method="jsapi")
    settings.ALLOW_MODEL_CHANNELS = True
    assert active_account(app=app, channel=channel, method="jsapi") == account
    settings.ALLOW_MODEL_CHANNELS = False
    account.deactivate()
    with pytest.raises(ModelChannelNotAllowed):
        activate_account(account)
    an_account(channel=channel, app=app, is_sandbox=True)
    assert active_account(app=app, channel=channel, method="jsapi").is_sandbox


@pytest.mark.parametrize("channel", MODELS)
def test_no_payment_is_turned_to_an_account_of_a_model_that_may_take_no_money(channel, settings):
    app = factories.an_app(with_account=False)
    an_account(channel=channel, app=app, is_sandbox=True)
    real = an_account(channel=channel, app=app, rank=1)
    payment = the_payment(factories.a_submitting_order(app=app, channel=channel))
    assert next_account(payment) is None
    settings.ALLOW_MODEL_CHANNELS = True
    assert next_account(payment) == real
