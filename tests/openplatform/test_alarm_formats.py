"""Each kind of webhook is spoken to in its own words, signed as its documentation says, and heard in its own words."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from openplatform.alarms import close_alarm, raise_alarm
from openplatform.alarms.delivery import deliver_due
from openplatform.alarms.formats import BODIES, WECOM_BYTES_MAX
from openplatform.models import Alarm, AlarmMessage
from openplatform.models.alarm import AlarmKind
from tests.openplatform.merchants import answers, merchant_server

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def bot(settings):
    with merchant_server(answers(200, b'{"errcode": 0, "code": 0}')) as server:
        settings.ALARM_WEBHOOK_URL = f"http://{server.host}/send?key=1"
        settings.ALARM_LANGUAGE = "en"
        yield server


def trouble(key="wechatpay"):
    raise_alarm(kind=AlarmKind.NO_WORKER, key=key, now=NOW)


def deliver(*, at=NOW):
    return deliver_due(clock=lambda: at)


def test_slack_is_sent_a_text_in_which_nothing_is_markup(bot, settings):
    settings.ALARM_WEBHOOK_FORMAT = "slack"
    trouble("<!channel> & co")
    deliver()
    (request,) = bot.requests
    text = request.document["text"]
    assert list(request.document) == ["text"]
    assert text.startswith("fenpay · critical · began · queue without a worker · &lt;!channel&gt; &amp; co")
    assert text.endswith(f"/console/openplatform/alarm/{Alarm.objects.get().pk}/change/")


def test_wecom_is_sent_markdown_of_its_size(bot, settings):
    settings.ALARM_WEBHOOK_FORMAT, settings.ALARM_LANGUAGE = "wecom", "zh-hans"
    settings.ALARM_MESSAGES_PER_MINUTE = 1
    for number in range(60):
        trouble(f"通道{number}" * 20)
    deliver()
    (request,) = bot.requests
    content = request.document["markdown"]["content"]
    assert request.document["msgtype"] == "markdown"
    assert len(content.encode()) <= WECOM_BYTES_MAX
    assert content.startswith('**<font color="warning">fenpay · 60 ')
    assert content.endswith("/console/openplatform/alarm/)")


def test_dingtalk_is_signed_in_the_address(bot, settings):
    settings.ALARM_WEBHOOK_FORMAT, settings.ALARM_WEBHOOK_SECRET = "dingtalk", "SEC-of-a-test"
    trouble()
    assert deliver() == 1
    (request,) = bot.requests
    query = parse_qs(urlsplit(request.line.split()[1]).query)
    expected = hmac.new(b"SEC-of-a-test", f"{query['timestamp'][0]}\nSEC-of-a-test".encode(), hashlib.sha256).digest()
    assert query["key"] == ["1"]
    assert query["sign"] == [base64.b64encode(expected).decode()]
    assert int(query["timestamp"][0]) == int(NOW.timestamp() * 1000)
    assert request.document["markdown"]["title"].startswith("fenpay")
    assert "SEC-of-a-test" not in request.body.decode()


def test_feishu_is_signed_in_the_body(bot, settings):
    settings.ALARM_WEBHOOK_FORMAT, settings.ALARM_WEBHOOK_SECRET = "feishu", "of-a-test"
    trouble()
    assert deliver() == 1
    sent = bot.requests[0].document
    expected = hmac.new(f"{sent['timestamp']}\nof-a-test".encode(), b"", hashlib.sha256).digest()
    assert sent["sign"] == base64.b64encode(expected).decode()
    assert sent["msg_type"] == "text"
    assert "no worker takes tasks from the queue wechatpay" in sent["content"]["text"]


@pytest.mark.parametrize("name", ["generic", "slack"])
def test_our_own_signature_is_over_the_time_and_the_body_as_sent(bot, settings, name):
    settings.ALARM_WEBHOOK_FORMAT, settings.ALARM_WEBHOOK_SECRET = name, "of-a-test"
    trouble()
    deliver()
    (request,) = bot.requests
    timestamp = request.headers["Fenpay-Timestamp"]
    expected = hmac.new(b"of-a-test", f"{timestamp}.".encode() + request.body, hashlib.sha256).hexdigest()
    assert request.headers["Fenpay-Signature"] == f"v1={expected}"


@pytest.mark.parametrize("name", BODIES)
def test_without_a_secret_nothing_is_signed(bot, settings, name):
    settings.ALARM_WEBHOOK_FORMAT = name
    trouble()
    assert deliver() == 1
    (request,) = bot.requests
    assert "Fenpay-Signature" not in request.headers
    assert "sign" not in request.line
    assert "sign" not in request.document


@pytest.mark.parametrize(
    ("name", "body", "error"),
    [
        ("wecom", b'{"errcode": 93000, "errmsg": "invalid webhook url"}', "errcode 93000"),
        ("dingtalk", b'{"errcode": 310000, "errmsg": "sign not match"}', "errcode 310000"),
        ("feishu", b'{"code": 19021, "msg": "sign match fail"}', "code 19021"),
        ("wecom", b"<html>a portal</html>", "answer_unreadable"),
        ("wecom", b"[]", "answer_unreadable"),
        ("feishu", b"{}", "answer_unreadable"),
    ],
)
def test_a_bot_that_answers_200_and_does_not_take_it_has_not_taken_it(bot, settings, name, body, error):
    settings.ALARM_WEBHOOK_FORMAT = name
    bot.behaviour = answers(200, body)
    trouble()
    assert deliver() == 0
    message = AlarmMessage.objects.get()
    assert (message.status, message.last_error) == ("owed", error)


@pytest.mark.parametrize("name", ["generic", "slack"])
def test_others_say_all_by_the_status(bot, settings, name):
    settings.ALARM_WEBHOOK_FORMAT = name
    bot.behaviour = answers(200, b"ok")
    trouble()
    assert deliver() == 1


@pytest.mark.parametrize(("language", "words"), [("en", "queue without a worker"), ("zh-hans", "队列没有工作进程")])
@pytest.mark.parametrize("name", BODIES)
def test_whoever_is_on_call_reads_their_own_language(bot, settings, name, language, words):
    settings.ALARM_WEBHOOK_FORMAT, settings.ALARM_LANGUAGE = name, language
    trouble()
    deliver()
    assert words in json.dumps(bot.requests[0].document, ensure_ascii=False)


def test_good_news_is_told_in_another_colour_and_with_its_end(bot, settings):
    settings.ALARM_WEBHOOK_FORMAT = "wecom"
    trouble()
    deliver()
    later = NOW + timedelta(minutes=2)
    close_alarm(kind=AlarmKind.NO_WORKER, key="wechatpay", now=later)
    deliver(at=later)
    content = bot.requests[1].document["markdown"]["content"]
    assert '<font color="info">fenpay · over · ' in content
    assert "until " in content
