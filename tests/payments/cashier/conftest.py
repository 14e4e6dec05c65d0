"""A world with one printed pay code, and browsers that have or have not said who they are."""

from collections.abc import Callable, Iterator

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from playwright.sync_api import BrowserContext
from pytest_django.live_server_helper import LiveServer

from openplatform.models import App, Merchant
from payments.cashier import payer
from payments.models import ChannelAccount, PayCode
from tests import factories
from tests.payments.cashier.outside import OutsideWorld, outside_world
from tests.payments.cashier.phone import Phone


@pytest.fixture
def outside(settings: object) -> Iterator[OutsideWorld]:
    with outside_world() as server:
        settings.CHANNEL_PRIVATE_HOSTS = [server.host]
        yield server


@pytest.fixture
def account(transactional_db: None, outside: OutsideWorld, settings: object) -> ChannelAccount:
    settings.CASHIER_SANDBOX = True
    return factories.an_account(Merchant.register(name="Fen & Sons", now=timezone.now()), api_base=outside.base)


@pytest.fixture
def pay_code(account: ChannelAccount) -> PayCode:
    app = App.register(merchant=account.merchant, name="shop", now=timezone.now())
    return PayCode.issue(app=app, channel=account.channel, label="Counter <1>", now=timezone.now())


@pytest.fixture
def stranger() -> Client:
    """A browser that has not said who it is; Django's CSRF check is on, as in the world."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def payers_browser(account: ChannelAccount, known_as: Callable[..., Client]) -> Client:
    return known_as("o-payer-1")


@pytest.fixture
def known_as(account: ChannelAccount) -> Callable[[str], Client]:
    """A browser that the channel has named before."""

    def known_as(openid: str) -> Client:
        client = Client(enforce_csrf_checks=True)
        response = payer_cookie(account, openid)
        client.cookies.load({name: morsel.value for name, morsel in response.cookies.items()})
        return client

    return known_as


def payer_cookie(account: ChannelAccount, openid: str) -> HttpResponse:
    """An answer that carries only the cookie of `openid`."""
    response = HttpResponse()
    payer.remember_payer(response, account, payer_id=openid)
    return response


@pytest.fixture
def phone(new_context: Callable[..., BrowserContext], live_server: LiveServer, settings: object) -> Iterator[Phone]:
    """The payer's phone. At the end, nothing may have been fetched from elsewhere and no policy violated."""
    settings.PUBLIC_BASE_URL = live_server.url
    phone = Phone(new_context, base_url=live_server.url)
    yield phone
    assert phone.complaints == []
