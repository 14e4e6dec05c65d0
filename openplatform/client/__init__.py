"""A small client of the open API: signs, verifies, retries what is safe to retry. Needs requests and cryptography only.

from openplatform.client import Client, Config

client = Client(Config.from_file("client.json"))
order = client.create_order(out_trade_no="A1", amount="40.30", subject="coffee", channel="wechatpay",
                            method="jsapi", payer={"openid": "..."})
"""

from openplatform.client.calls import Client
from openplatform.client.config import Config
from openplatform.client.envelopes import decrypt, encrypt_payer
from openplatform.client.errors import ApiError, ClientError, NoAnswer, NotOpened, NotVerified
from openplatform.client.keys import answer_challenge, register_key
from openplatform.client.notifications import Notification, verify_notification

__all__ = [
    "ApiError",
    "Client",
    "ClientError",
    "Config",
    "NoAnswer",
    "NotOpened",
    "NotVerified",
    "Notification",
    "answer_challenge",
    "decrypt",
    "encrypt_payer",
    "register_key",
    "verify_notification",
]
