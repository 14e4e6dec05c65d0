"""Rows of the open platform. Every write is a factory or a mutator of one of these classes."""

from openplatform.models.app import App
from openplatform.models.key_audit import KeyChallenge, KeyEvent
from openplatform.models.keys import AppKey, PlatformKey
from openplatform.models.merchant import Merchant
from openplatform.models.notification import Notification, NotificationAttempt

__all__ = [
    "App",
    "AppKey",
    "KeyChallenge",
    "KeyEvent",
    "Merchant",
    "Notification",
    "NotificationAttempt",
    "PlatformKey",
]
