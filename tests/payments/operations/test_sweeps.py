"""The sweeps of one channel do not feel another that hangs, and a queue that nobody takes from has an end."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from config.runtime.valkey import Valkey
from openplatform import hints
from openplatform.broker import look_at_broker
from payments.models import Payment
from payments.operations import sweeps
from payments.queries import HINT_AGAIN_AFTER
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
QUEUES = ("channel.wechatpay", "channel.alipay")


@pytest.fixture
def broker(tmp_path, monkeypatch) -> Iterator[Valkey]:
    """A broker of this test's own, from which nobody takes."""
    valkey = Valkey(tmp_path)
    valkey.start()
    original = hints._connect
    monkeypatch.setattr(hints, "_connect", lambda: original().clone(hostname=f"redis+socket://{valkey.socket}"))
    monkeypatch.setattr(hints, "_publisher", hints._Publisher())
    yield valkey
    valkey.stop()


@pytest.fixture
def app():
    app = factories.an_app()
    factories.an_alipay_account(app.merchant)
    return app


def lengths():
    return tuple(look_at_broker(QUEUES).queues[name].length for name in QUEUES)


def test_a_queue_that_is_full_takes_no_more_and_the_other_channel_does_not_feel_it(broker, app, monkeypatch):
    monkeypatch.setattr(sweeps, "QUEUE_LENGTH_MAX", 3)
    for channel, count in (("wechatpay", 5), ("alipay", 2)):
        for _ in range(count):
            factories.a_submitting_order(app=app, channel=channel)
    assert sweeps.sweep_payments(now=NOW) == 5
    assert lengths() == (3, 2)
    later = NOW + HINT_AGAIN_AFTER + timedelta(seconds=1)
    assert sweeps.sweep_payments(now=later) == 1, "what waits there already is not sent there again without end"
    assert lengths() == (3, 3)


def test_a_backlog_of_one_channel_hides_no_row_of_another(broker, app, monkeypatch):
    monkeypatch.setattr(sweeps, "BATCH_MAX", 2)
    for _ in range(3):
        factories.a_submitting_order(app=app, now=NOW - timedelta(hours=1))
    late = factories.a_submitting_order(app=app, channel="alipay")
    sweeps.sweep_payments(now=NOW)
    assert Payment.objects.get(order=late).hinted_at == NOW
    assert lengths() == (2, 1)


def test_refunds_go_to_the_queue_of_their_channel_and_stop_where_it_is_full(broker, app, monkeypatch):
    monkeypatch.setattr(sweeps, "QUEUE_LENGTH_MAX", 1)
    for _ in range(2):
        factories.a_submitting_refund(order=factories.a_paid_order(app=app))
    assert sweeps.sweep_refunds(now=NOW) == 1
    assert lengths() == (1, 0)


def test_rechecks_share_the_bound(broker, app, monkeypatch):
    from payments.operations import rechecks

    monkeypatch.setattr(sweeps, "QUEUE_LENGTH_MAX", 1)
    for _ in range(2):
        factories.a_closed_order(app=app)
    at = Payment.objects.latest("recheck_at").recheck_at
    assert rechecks.sweep_rechecks(now=at) == 1
    assert lengths() == (1, 0)


def test_a_message_says_how_long_it_has_waited(broker, app):
    factories.a_submitting_order(app=app)
    sweeps.sweep_payments(now=NOW)
    look = look_at_broker(QUEUES).queues
    assert look["channel.wechatpay"].oldest_s is not None
    assert look["channel.alipay"].oldest_s is None


def test_a_broker_that_cannot_be_looked_at_is_tried_all_the_same(app, monkeypatch):
    sent = []
    monkeypatch.setattr(hints, "_connect", lambda: 1 / 0)
    monkeypatch.setattr(sweeps, "send_now", lambda *args, **kwargs: sent.append(kwargs) or True)
    factories.a_submitting_order(app=app)
    assert sweeps.sweep_payments(now=NOW) == 1
    assert sent[0]["queue"] == "channel.wechatpay"
