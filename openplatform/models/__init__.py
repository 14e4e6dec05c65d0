"""Rows of the open platform. Every write is a factory or a mutator of one of these classes."""

from openplatform.models.app import App
from openplatform.models.blocks import AppAddress, BlockEntry, ExemptAddress, ListMarker
from openplatform.models.idempotency import IdempotencyRecord
from openplatform.models.key_audit import KeyChallenge, KeyEvent
from openplatform.models.keys import AppKey, PlatformKey
from openplatform.models.limits import RateRule
from openplatform.models.merchant import Merchant
from openplatform.models.notification import Notification, NotificationAttempt

__all__ = [
    "App",
    "AppAddress",
    "AppKey",
    "BlockEntry",
    "ExemptAddress",
    "IdempotencyRecord",
    "KeyChallenge",
    "KeyEvent",
    "ListMarker",
    "Merchant",
    "Notification",
    "NotificationAttempt",
    "PlatformKey",
    "RateRule",
]
