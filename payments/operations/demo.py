"""A demo merchant on a sandbox account, for development: everything a stranger needs to pay a first order."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.db import transaction

from openplatform.key_material import Algorithm, Purpose
from openplatform.keys import ensure_platform_keys, live_platform_keys
from openplatform.models import App, AppKey, Merchant
from openplatform.scopes import Scope
from payments.channels.registry import CHANNELS
from payments.models import ChannelAccount, PayCode
from payments.operations.accounts import is_another

AccountValues = tuple[dict[str, Any], dict[str, str]]  # settings and secrets

MERCHANT_NAME = "Fen Coffee · 分咖啡"
PRIVATE_KEY_FILE, CLIENT_FILE, MERCHANT_FILE = "private_key.pem", "client.json", "merchant.json"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Where things are, for whoever prints them."""

    app_id: int
    pay_code_tokens: dict[str, str]  # by channel; "" is the one for every wallet
    client_config: Path


def seed_demo(*, directory: Path, identity: dict[str, Any], base_url: str, notify_url: str, now: datetime) -> Demo:
    """Make the demo merchant, or find it again; its files in `directory` are readable by us alone.

    `identity` is what the sandbox says about itself: the account's numbers, hosts and keys.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with transaction.atomic(durable=True):
        ensure_platform_keys(now=now)
        merchant = Merchant.objects.filter(name=MERCHANT_NAME).first() or Merchant.register(name=MERCHANT_NAME, now=now)
        app = App.objects.filter(merchant=merchant).first() or App.register(merchant=merchant, name="demo", now=now)
        key = _app_key(app, file=directory / PRIVATE_KEY_FILE, now=now)
        for channel in CHANNELS:
            _channel_account(merchant, channel=channel, values=sandbox_account(channel, identity), now=now)
        pay_codes = [_pay_code(app, channel=channel, notify_url=notify_url, now=now) for channel in ("", *CHANNELS)]
    live = live_platform_keys(now=now)
    platform_keys = {known.serial_no: known.public_key_pem for known in live if known.purpose == Purpose.SIGN}
    encryption_keys = {known.serial_no: known.public_key_pem for known in live if known.purpose == Purpose.ENCRYPT}
    _write_private(
        directory / CLIENT_FILE,
        {
            "base_url": base_url, "app_id": str(app.pk), "serial_no": key.serial_no,
            "private_key_path": str(directory / PRIVATE_KEY_FILE), "platform_keys": platform_keys,
            "platform_encryption_keys": encryption_keys, "notify_url": notify_url,
        },
    )  # fmt: skip
    rsa_keys = {known.serial_no: known.public_key_pem for known in live if known.algorithm == Algorithm.RSA_SHA256}
    _write_private(directory / MERCHANT_FILE, {"app_id": str(app.pk), "platform_keys": rsa_keys})
    tokens = {pay_code.channel: pay_code.token for pay_code in pay_codes}
    return Demo(app_id=app.pk, pay_code_tokens=tokens, client_config=directory / CLIENT_FILE)


def _app_key(app: App, *, file: Path, now: datetime) -> AppKey:
    """The demo's own key. A lost file only means a new pair: the old key's row stays."""
    if not file.exists():
        pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = pair.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.touch(mode=0o600)
        file.write_bytes(pem)
    private = serialization.load_pem_private_key(file.read_bytes(), password=None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return app.keys.filter(public_key_pem=public.decode()).first() or AppKey.register(
        app=app, public_key_pem=public.decode(), scopes=Scope.values, now=now
    )


def _pay_code(app: App, *, channel: str, notify_url: str, now: datetime) -> PayCode:
    return PayCode.objects.filter(app=app, channel=channel).first() or PayCode.issue(
        app=app, channel=channel, label=MERCHANT_NAME, notify_url=notify_url, now=now
    )


def sandbox_account(channel: str, identity: dict[str, Any]) -> AccountValues:
    """Settings and secrets of an account at `channel`, from the identity that a sandbox publishes."""
    return CHANNELS[channel].sandbox_account(identity[channel])


def _channel_account(merchant: Merchant, *, channel: str, values: AccountValues, now: datetime) -> None:
    settings, secrets = values
    account = ChannelAccount.objects.filter(merchant=merchant, channel=channel, is_active=True).first()
    if account is not None and is_another(account, settings):
        account.deactivate()  # the sandbox's own data was removed, and it is somebody else now
        account = None
    if account is None:
        ChannelAccount.register(
            merchant=merchant, channel=channel, name=f"{channel} sandbox", settings=settings, secrets=secrets,
            is_sandbox=True, now=now,
        )  # fmt: skip
    else:
        account.replace_settings(settings=settings, secrets=secrets)


def _write_private(file: Path, content: dict[str, Any]) -> None:
    file.touch(mode=0o600)
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
