"""Rows of the open platform. Every write is a factory or a mutator of one of these classes."""

from openplatform.models.alarm import Alarm, AlarmStreak
from openplatform.models.alarm_message import AlarmMessage
from openplatform.models.app import App
from openplatform.models.blind_key import BlindKey
from openplatform.models.blocks import AppAddress, BlockEntry, ExemptAddress, ListMarker, NotifyHost
from openplatform.models.conformance import ConformanceResult, ConformanceRun
from openplatform.models.endpoint import NotifyEndpoint
from openplatform.models.heartbeat import Heartbeat
from openplatform.models.idempotency import IdempotencyRecord
from openplatform.models.key_audit import KeyChallenge, KeyEvent
from openplatform.models.keys import AppKey, PlatformKey
from openplatform.models.limits import RateRule
from openplatform.models.merchant import Merchant
from openplatform.models.notification import Notification, NotificationAttempt
from openplatform.models.webhook_secret import WebhookSecret

__all__ = [
    "Alarm",
    "AlarmMessage",
    "AlarmStreak",
    "App",
    "AppAddress",
    "AppKey",
    "BlindKey",
    "BlockEntry",
    "ConformanceResult",
    "ConformanceRun",
    "ExemptAddress",
    "Heartbeat",
    "IdempotencyRecord",
    "KeyChallenge",
    "KeyEvent",
    "ListMarker",
    "Merchant",
    "Notification",
    "NotificationAttempt",
    "NotifyEndpoint",
    "NotifyHost",
    "PlatformKey",
    "RateRule",
    "WebhookSecret",
]
