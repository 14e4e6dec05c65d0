"""A small client of the open API: signs, verifies, retries what is safe to retry. Needs requests and cryptography only.

from openplatform.client import Client, Config

client = Client(Config.from_file("client.json"))
order = client.create_order(out_trade_no="A1", amount="40.30", subject="coffee", channel="wechatpay",
                            method="jsapi", payer={"openid": "..."})
order.amount_fen  # 4030
"""

from openplatform.client.calls import Client, new_idempotency_key
from openplatform.client.config import PREFIX, SANDBOX_PREFIX, Config
from openplatform.client.envelopes import decrypt, encrypt_payer
from openplatform.client.errors import (
    ApiError,
    ClientError,
    NoAnswer,
    NotDecided,
    NotOpened,
    NotUnderstood,
    NotVerified,
)
from openplatform.client.keys import answer_challenge, register_key
from openplatform.client.notifications import Notification, verify_notification
from openplatform.client.results import (
    Attempt,
    NotificationPage,
    Order,
    PlatformKey,
    Refund,
    ReplayedPart,
    SentNotification,
)
from openplatform.client.retries import NO_RETRIES, Retries

__all__ = [
    "NO_RETRIES",
    "PREFIX",
    "SANDBOX_PREFIX",
    "ApiError",
    "Attempt",
    "Client",
    "ClientError",
    "Config",
    "NoAnswer",
    "NotDecided",
    "NotOpened",
    "NotUnderstood",
    "NotVerified",
    "Notification",
    "NotificationPage",
    "Order",
    "PlatformKey",
    "Refund",
    "ReplayedPart",
    "Retries",
    "SentNotification",
    "answer_challenge",
    "decrypt",
    "encrypt_payer",
    "new_idempotency_key",
    "register_key",
    "verify_notification",
]
