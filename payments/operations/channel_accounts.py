"""Merchants' accounts at the channels: registered, and given new keys or hosts, with values that were looked at."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from django.db import IntegrityError, transaction

from openplatform.models import Merchant
from payments.channels.registry import CHANNELS
from payments.models import ChannelAccount
from payments.models.account import ONE_ACTIVE, OtherAccountActive
from payments.operations.accounts import check_may_take_money, is_another
from payments.operations.channel_troubles import keys_were_entered


class AccountValuesRefused(ValueError):
    """The text has a line for each thing that is wrong, by name; no value is in it."""


def register_account(
    *, merchant: Merchant, channel: str, name: str, settings: dict[str, Any], secrets: dict[str, str], rank: int,
    now: datetime,
) -> ChannelAccount:  # fmt: skip
    """A new active account, for real money. Raises AccountValuesRefused, ModelChannelNotAllowed, and OtherAccountActive
    for a rank that is taken.
    """
    _check(channel, settings=settings, secrets=secrets)
    check_may_take_money(channel, is_sandbox=False)
    try:
        with transaction.atomic():
            return ChannelAccount.register(
                merchant=merchant, channel=channel, name=name, settings=settings, secrets=secrets, rank=rank, now=now
            )
    except IntegrityError as error:
        if ONE_ACTIVE not in str(error):
            raise
        raise OtherAccountActive from error


def replace_account_values(
    account: ChannelAccount, *, settings: dict[str, Any], secrets: dict[str, str], now: datetime
) -> None:
    """New keys or hosts. Raises AccountValuesRefused, also for the numbers of another account: there nobody would know
    the open payments.
    """
    _check(account.channel, settings=settings, secrets=secrets)
    if is_another(account, settings):
        names = ", ".join(sorted(CHANNELS[account.channel].account_shape.identity))
        raise AccountValuesRefused(f"another {names} is another account: register it, and switch this one off")
    account.replace_settings(settings=settings, secrets=secrets)
    keys_were_entered(account, now=now)


def activate_account(account: ChannelAccount) -> None:
    """New payments may go to it. Raises ModelChannelNotAllowed, OtherAccountActive."""
    check_may_take_money(account.channel, is_sandbox=account.is_sandbox)
    account.activate()


def _check(channel: str, *, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    if channel not in CHANNELS:
        raise AccountValuesRefused(f"channel: must be one of {', '.join(CHANNELS)}")
    shape = CHANNELS[channel].account_shape
    issues = shape.issues(settings=settings, secrets=secrets)
    if not issues:
        issues = _key_issues(shape.their_keys, settings=settings, secrets=secrets)
    if issues:
        raise AccountValuesRefused("\n".join(issues))


def _key_issues(their_keys: str, *, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> list[str]:
    issues = []
    if not _is_rsa(load_pem_private_key, secrets["private_key_pem"], password=None):
        issues.append("secrets: private_key_pem is not an RSA private key in PEM without a password")
    keys = settings.get(their_keys, {})
    if not isinstance(keys, dict):
        return [*issues, f"settings: {their_keys} must map serial numbers to public keys in PEM"]
    bad = [serial for serial, pem in keys.items() if not _is_rsa(load_pem_public_key, pem)]
    return [*issues, *(f"settings: {their_keys}: {serial!r} is not an RSA public key in PEM" for serial in bad)]


def _is_rsa(load: Any, pem: object, **options: Any) -> bool:
    try:
        key = load(str(pem).encode(), **options)
    except (ValueError, TypeError):  # TypeError: it has a password
        return False
    return isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey)
