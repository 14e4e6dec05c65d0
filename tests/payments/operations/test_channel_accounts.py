"""An account stays the one that its open payments were sent to."""

import pytest

from payments.models import ChannelAccount
from tests import factories
from tests.factories import NOW, again

pytestmark = pytest.mark.django_db(transaction=True)
PARTNER = {"mchid": "1900000001", "appid": "wx1", "sub_mchid": "1900000002", "sub_appid": "wx2"}
ALIPAY = {"app_id": "2026000000000001", "seller_id": "2088000000000001"}


@pytest.mark.parametrize(("settings", "name"), [*((PARTNER, name) for name in PARTNER), *((ALIPAY, n) for n in ALIPAY)])
def test_new_settings_name_the_same_account(settings, name):
    """Under another number the channel knows none of the open payments, and they would be closed as never arrived."""
    merchant = factories.an_app(with_account=False).merchant
    account = ChannelAccount.register(
        merchant=merchant, channel="wechatpay", name="a", settings=settings, secrets={}, now=NOW
    )
    account.replace_settings(settings=settings | {"api_base": "https://other.example"}, secrets={})
    for changed in (settings | {name: "3"}, {key: value for key, value in settings.items() if key != name}):
        with pytest.raises(ValueError, match="is another account"):
            account.replace_settings(settings=changed, secrets={})
    assert again(account).settings["api_base"] == "https://other.example"
