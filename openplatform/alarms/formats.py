"""What a webhook is sent, in the words of whoever runs it: our own JSON, Slack's, 企业微信's, 钉钉's or 飞书's.

    generic   {"event", "id", "kind", "key", "text", "severity", "opened_at", "closed_at", "console_url", …}
    slack     {"text": …}, which Mattermost, Rocket.Chat and others read too
    wecom     {"msgtype": "markdown", …} of 4096 bytes at most; `errcode` 0 is a yes
    dingtalk  {"msgtype": "markdown", …}; the secret signs the address; `errcode` 0 is a yes
    feishu    {"msg_type": "text", …}; the secret signs the time, in the body; `code` 0 is a yes

The bots answer 200 to what they refuse, so their own code decides. All texts hold the word "fenpay": a bot may be told
to take nothing without a keyword.
"""

import base64
import hashlib
import hmac
import html
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus, urlsplit

from django.conf import settings
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from openplatform.alarms.wording import seen
from openplatform.models import Alarm, AlarmMessage
from openplatform.models.alarm_message import MessageEvent

LISTED_MAX = 20  # of a summary; the rest is counted
WECOM_BYTES_MAX, OTHERS_BYTES_MAX = 4_096, 18_000
SIGNATURE_HEADER, TIMESTAMP_HEADER = "Fenpay-Signature", "Fenpay-Timestamp"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is to be said: a title, some lines, the page where more is, and the values for a program."""

    title: str
    lines: list[str]
    url: str
    is_good_news: bool
    document: dict[str, Any]

    def text(self, escape: Callable[[str], str] = str) -> str:
        return "\n".join([*(escape(line) for line in (self.title, *self.lines)), self.url])


@dataclass(frozen=True, kw_only=True)
class Request:
    url: str = field(repr=False)  # it holds the bot's token
    headers: dict[str, str] = field(repr=False)
    body: bytes


def request_for(messages: Sequence[AlarmMessage], *, now: datetime) -> Request:
    """One message by itself, several as a summary, in the language of whoever is on call and in the format that is
    set. `now` is signed: a bot refuses what is older than an hour.
    """
    with translation.override(settings.ALARM_LANGUAGE):
        told = _one(messages[0]) if len(messages) == 1 else _summary(messages)
        content = BODIES[settings.ALARM_WEBHOOK_FORMAT](told)
    return _signed(content, name=settings.ALARM_WEBHOOK_FORMAT, secret=settings.ALARM_WEBHOOK_SECRET, now=now)


def _signed(content: dict[str, Any], *, name: str, secret: str, now: datetime) -> Request:
    url, timestamp_ms = settings.ALARM_WEBHOOK_URL, int(now.timestamp() * 1000)
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if secret and name == "feishu":
        content = _feishu_signature(secret, timestamp_ms // 1000) | content
    body = json.dumps(content, ensure_ascii=False).encode()
    if secret and name == "dingtalk":
        url += ("&" if urlsplit(url).query else "?") + _dingtalk_signature(secret, timestamp_ms)
    elif secret and name in {"generic", "slack"}:
        headers |= _our_signature(secret, timestamp_ms // 1000, body)
    return Request(url=url, headers=headers, body=body)


def refusal_in(answer: bytes) -> str:
    """Why a bot that answered 2xx did not take it after all, or "". Others say all that they say by the status."""
    name = ANSWER_CODES.get(settings.ALARM_WEBHOOK_FORMAT)
    if name is None:
        return ""
    try:
        code = json.loads(answer)[name]
    except (ValueError, KeyError, TypeError):
        return "answer_unreadable"
    return "" if code == 0 else f"{name} {code}"[:40]


def _one(message: AlarmMessage) -> Told:
    alarm = message.alarm
    lines = [seen(alarm), _("since %(at)s") % {"at": _clock(alarm.opened_at)}]
    if alarm.closed_at is not None:
        lines.append(_("until %(at)s") % {"at": _clock(alarm.closed_at)})
    title = f"fenpay · {_mark(message)} · {alarm.get_kind_display()} · {alarm.key}"
    document = {"event": message.event, "message_id": str(message.pk), **_values(alarm)}
    return Told(
        title=title, lines=lines, url=_page(alarm), is_good_news=message.event == MessageEvent.CLOSED,
        document=document,
    )  # fmt: skip


def _summary(messages: Sequence[AlarmMessage]) -> Told:
    count = len(messages)
    title = ngettext("%(count)d message about alarms", "%(count)d messages about alarms", count) % {"count": count}
    lines = [
        f"{_mark(message)} · {message.alarm.get_kind_display()} · {message.alarm.key}: {seen(message.alarm)}"
        for message in messages[:LISTED_MAX]
    ]
    if count > LISTED_MAX:
        lines.append(_("and %(count)d more") % {"count": count - LISTED_MAX})
    url = settings.PUBLIC_BASE_URL + reverse("admin:openplatform_alarm_changelist")
    document = {
        "event": "summary", "message_id": str(messages[0].pk), "count": count,
        "alarms": [{"event": message.event, **_values(message.alarm)} for message in messages],
    }  # fmt: skip
    is_good_news = all(message.event == MessageEvent.CLOSED for message in messages)
    return Told(title=f"fenpay · {title}", lines=lines, url=url, is_good_news=is_good_news, document=document)


def _mark(message: AlarmMessage) -> str:
    """Whether to get up."""
    alarm, event = message.alarm, message.get_event_display()
    return event if message.event == MessageEvent.CLOSED else f"{alarm.severity.label} · {event}"


def _values(alarm: Alarm) -> dict[str, Any]:
    return {
        "id": str(alarm.pk), "kind": alarm.kind, "key": alarm.key, "text": seen(alarm), "facts": alarm.facts,
        "severity": alarm.severity.value, "opened_at": alarm.opened_at.isoformat(),
        "closed_at": alarm.closed_at.isoformat() if alarm.closed_at else None, "console_url": _page(alarm),
    }  # fmt: skip


def _page(alarm: Alarm) -> str:
    return settings.PUBLIC_BASE_URL + reverse("admin:openplatform_alarm_change", args=[alarm.pk])


def _clock(at: datetime) -> str:
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S")


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _generic(told: Told) -> dict[str, Any]:
    return {"title": told.title, "text": "\n".join(told.lines), "console_url": told.url} | told.document


def _slack(told: Told) -> dict[str, Any]:
    return {"text": _cut(told.text(_escaped), OTHERS_BYTES_MAX)}


def _markdown(told: Told, *, bytes_max: int) -> str:
    colour = "info" if told.is_good_news else "warning"
    title = f'**<font color="{colour}">{_escaped(told.title)}</font>**'
    end = f"\n\n[{_('Open the console')}]({told.url})"
    lines = "\n\n".join(f"> {_escaped(line)}" for line in told.lines)
    return _cut(f"{title}\n\n{lines}", bytes_max - len(end.encode())) + end


def _wecom(told: Told) -> dict[str, Any]:
    return {"msgtype": "markdown", "markdown": {"content": _markdown(told, bytes_max=WECOM_BYTES_MAX)}}


def _dingtalk(told: Told) -> dict[str, Any]:
    return {
        "msgtype": "markdown", "markdown": {"title": told.title, "text": _markdown(told, bytes_max=OTHERS_BYTES_MAX)}
    }  # fmt: skip


def _feishu(told: Told) -> dict[str, Any]:
    return {"msg_type": "text", "content": {"text": _cut(told.text(), OTHERS_BYTES_MAX)}}


BODIES: Mapping[str, Callable[[Told], dict[str, Any]]] = {
    "generic": _generic, "slack": _slack, "wecom": _wecom, "dingtalk": _dingtalk, "feishu": _feishu,
}  # fmt: skip
ANSWER_CODES: Mapping[str, str] = {"wecom": "errcode", "dingtalk": "errcode", "feishu": "code"}


def _cut(text: str, bytes_max: int) -> str:
    """At most so many bytes of UTF-8, and no half character."""
    encoded = text.encode()
    return text if len(encoded) <= bytes_max else encoded[: bytes_max - 3].decode("utf-8", "ignore") + "…"


def _hmac(key: str, message: str) -> bytes:
    return hmac.digest(key.encode(), message.encode(), hashlib.sha256)


def _our_signature(secret: str, timestamp: int, body: bytes) -> dict[str, str]:
    """HMAC-SHA256 in hex over the time, a dot and the body."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {TIMESTAMP_HEADER: str(timestamp), SIGNATURE_HEADER: f"v1={digest}"}


def _dingtalk_signature(secret: str, timestamp_ms: int) -> str:
    """open.dingtalk.com, 自定义机器人安全设置: 加签."""
    signature = base64.b64encode(_hmac(secret, f"{timestamp_ms}\n{secret}")).decode()
    return f"timestamp={timestamp_ms}&sign={quote_plus(signature)}"


def _feishu_signature(secret: str, timestamp: int) -> dict[str, str]:
    """open.feishu.cn, 自定义机器人: 签名校验. What is signed there is the key, and the message is empty."""
    signature = base64.b64encode(_hmac(f"{timestamp}\n{secret}", "")).decode()
    return {"timestamp": str(timestamp), "sign": signature}
