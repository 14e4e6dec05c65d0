"""One server is store and broker, and freezes: whatever a request asks of it on its way, it waits for it once.

Frozen by a real signal: it goes on taking connections, and says nothing.
"""

import json
import signal
import tempfile
from pathlib import Path

import pytest
from celery import current_app
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from redis.exceptions import TimeoutError as RedisTimeoutError

from config import settings as production
from config.runtime.valkey import Valkey
from openplatform import hints, store
from payments.cashier import payer
from payments.channels.base import Callback
from payments.models import ChannelAccount, Order, PayCode
from payments.operations import callbacks
from tests import factories
from tests.factories import NOW, again, the_payment
from tests.signed import Merchant

pytestmark = pytest.mark.django_db(transaction=True)
RESPOND_AT_ONCE = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def valkey():
    with tempfile.TemporaryDirectory(prefix="fp-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        server = Valkey(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture(autouse=True)
def only_one_server(valkey, settings, monkeypatch):
    """Store and broker of this process are the server that a test freezes."""
    settings.REDIS_URL, settings.BROKER_URL = f"unix://{valkey.socket}", f"redis+socket://{valkey.socket}"
    settings.HINTS_ENABLED = True
    monkeypatch.setattr(hints, "_publisher", hints._Publisher())
    connect = hints._connect
    # This one first: it would be remembered as what it is made of, and stay.
    monkeypatch.setattr(current_app.conf, "broker_write_url", settings.BROKER_URL)
    monkeypatch.setattr(current_app.conf, "broker_url", settings.BROKER_URL)
    assert connect().as_uri().startswith("redis+socket")
    store.circuit.reset()
    yield
    store.circuit.reset()


@pytest.fixture
def waits(monkeypatch):
    """How often somebody has waited for an answer in vain: each time the client of Redis makes one such error."""
    made = []

    def remember(self, *args):
        made.append(self)
        Exception.__init__(self, *args)

    monkeypatch.setattr(RedisTimeoutError, "__init__", remember)
    return made


@pytest.fixture
def freeze(valkey):
    """`freeze()`: from now on it is silent. It is warm before: connections are there, and so are the first imports."""
    assert hints.send_now("payments.drive_payment", payment_no=0)
    with store.store() as client:
        client.ping()

    yield lambda: valkey.child.send_signal(signal.SIGSTOP)
    valkey.child.send_signal(signal.SIGCONT)


@pytest.fixture
def app(db):
    return factories.an_app()


def test_a_read_waits_once(app, freeze, waits):
    merchant = Merchant(app)
    order = factories.a_paying_order(app=app)
    freeze()
    assert merchant.get(f"/orders/{order.pk}").status == 200
    assert len(waits) == 1


def test_a_write_waits_once_and_is_told_to_come_back(app, freeze, waits):
    merchant = Merchant(app)
    fields = {"out_trade_no": "A1234567", "amount": "40.30", "subject": "x", "channel": "wechatpay", "method": "native"}
    freeze()
    answer = merchant.post("/orders", fields, **RESPOND_AT_ONCE)
    assert (answer.status, answer.code) == (503, "TRY_LATER")
    assert len(waits) == 1


def test_a_payer_who_orders_by_a_code_waits_once(app, freeze, waits):
    """The limits of the page, the order, and the hint to a worker."""
    pay_code = PayCode.issue(app=app, channel="wechatpay", label="counter", now=timezone.now())
    browser, known = Client(), HttpResponse()
    payer.remember_payer(known, ChannelAccount.objects.get(), payer_id="o-payer-1")
    browser.cookies.load({name: morsel.value for name, morsel in known.cookies.items()})
    freeze()
    fields = {"amount": "40.30", "attempt": "0" * 24}
    answer = browser.post(f"/pay/{pay_code.token}/orders", json.dumps(fields), content_type="application/json")
    assert (answer.status_code, Order.objects.count()) == (201, 1)
    assert len(waits) == 1


def test_a_callback_that_wakes_several_workers_waits_once(app, freeze, waits):
    order = factories.a_closed_order(app=app, notify_url="https://shop.example/notify")
    payment = the_payment(order)
    told = Callback(callback_id="c1", event_type="x", facts=factories.paid(order))
    freeze()
    assert callbacks._apply(payment.account, payment, told, body=b"", now=NOW) == "paid late"
    assert again(order).status == "SUCCEEDED_LATE"
    assert len(waits) == 1


def test_the_waits_that_one_request_can_meet_fit_into_what_was_promised():
    """A store and a broker that are two servers, both silent."""
    assert production.REDIS_TIMEOUT_S + hints.TIMEOUT_S <= 0.57
    assert production.REDIS_TIMEOUT_S <= 0.2


@pytest.mark.parametrize(
    ("broker", "stored", "is_one"),
    [
        ("redis+socket:///run/v.sock", "unix:///run/v.sock", True),
        ("redis+socket:///run/a%20b.sock", "unix:///run/a%20b.sock?db=1", True),
        ("redis://r.example:6379/0", "redis://:secret@r.example/1", True),
        ("rediss://r.example:6380/0", "rediss://r.example:6380/0", True),
        ("redis://r.example:6379/0", "redis://r.example:6380/0", False),
        ("redis://r1.example/0", "redis://r2.example/0", False),
        ("amqp://r.example:6379//", "redis://r.example:6379/0", False),
    ],
)
def test_one_server_is_known_by_where_it_is(settings, broker, stored, is_one):
    settings.BROKER_URL, settings.REDIS_URL = broker, stored
    assert not hints._has_just_been_silent()
    store.circuit.trip()
    assert hints._has_just_been_silent() is is_one
