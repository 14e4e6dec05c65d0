"""From a row to a channel that can be asked."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.conf import settings

from openplatform.models import App
from payments.channels.base import AccountConfig, Capabilities, Channel
from payments.channels.bills import BillLimits, BillOffer
from payments.channels.registry import CHANNELS, open_channel
from payments.errors import PaymentsError
from payments.models import ChannelAccount, ChannelCertificate, Order, Payment
from payments.states import BillKind


class ChannelNotAvailable(PaymentsError):
    """The merchant has no active account at this channel, or the channel does not know this method."""

    code = "CHANNEL_NOT_AVAILABLE"


class ModelChannelNotAllowed(ChannelNotAvailable):
    """The channel is a model that is certified with no acquirer, and ALLOW_MODEL_CHANNELS is off here."""

    code = "MODEL_CHANNEL_NOT_ALLOWED"


class OtherAppid(PaymentsError):
    """The appid is not the one of the merchant's account at the channel."""

    code = "APPID_MCHID_NOT_MATCH"


def active_account(*, app: App, channel: str, method: str, appid: str = "") -> ChannelAccount:
    """The merchant's account for new payments. Raises ChannelNotAvailable, ModelChannelNotAllowed, and OtherAppid when
    it has not `appid`.
    """
    if channel not in CHANNELS or method not in CHANNELS[channel].capabilities.methods:
        raise ChannelNotAvailable
    active = ChannelAccount.objects.filter(merchant_id=app.merchant_id, channel=channel, is_active=True)
    account = active.order_by("rank").first()
    if account is None:
        raise ChannelNotAvailable
    check_may_take_money(channel, is_sandbox=account.is_sandbox)
    if appid and account.settings.get("appid") != appid:
        raise OtherAppid
    return account


def next_account(payment: Payment) -> ChannelAccount | None:
    """The account to turn to when the channel refuses `payment` because of its account; None when there is none.

    Where the method needs the payer's id, only an account will do at which it is the same. One that may take no money
    is passed over.
    """
    used = payment.account
    shape = CHANNELS[used.channel].account_shape
    others = ChannelAccount.objects.filter(
        merchant_id=used.merchant_id, channel=used.channel, is_active=True, rank__gt=used.rank
    )
    needs_openid = "openid" in capabilities_of(used).methods[payment.method]
    fitting = (
        other
        for other in others.order_by("rank")
        if may_take_money(used.channel, is_sandbox=other.is_sandbox)
        and not (needs_openid and _differ(other, used.settings, shape.payers_by))
    )
    return next(fitting, None)


def is_another(account: ChannelAccount, settings: Mapping[str, Any]) -> bool:
    """Whether these settings name another account at the channel than `account` is."""
    return _differ(account, settings, CHANNELS[account.channel].account_shape.identity)


def _differ(account: ChannelAccount, settings: Mapping[str, Any], names: frozenset[str]) -> bool:
    return any(settings.get(name) != account.settings.get(name) for name in names)


def may_take_money(channel: str, *, is_sandbox: bool) -> bool:
    """A model of a channel gets play money only, unless this deployment says otherwise."""
    return is_sandbox or settings.ALLOW_MODEL_CHANNELS or not CHANNELS[channel].is_model


def check_may_take_money(channel: str, *, is_sandbox: bool) -> None:
    """Raises ModelChannelNotAllowed."""
    if not may_take_money(channel, is_sandbox=is_sandbox):
        raise ModelChannelNotAllowed


def capabilities_of(account: ChannelAccount) -> Capabilities:
    return CHANNELS[account.channel].capabilities


def bill_offers_of(account: ChannelAccount) -> dict[BillKind, BillOffer]:
    """The bills that this account gets: those that its settings name, or else those of every account."""
    named = account.settings.get("bill_kinds")
    return {
        kind: offer
        for kind, offer in capabilities_of(account).bills.items()
        if (offer.is_default if named is None else kind in named) and not account.settings.get(offer.not_with)
    }


def open_account(account: ChannelAccount) -> Channel:
    """The channel as this account sees it, with deadlines from settings."""
    return open_channel(
        account.channel,
        AccountConfig(
            account_id=account.pk,
            settings=account.settings,
            secrets=account.secrets(),
            deadline_s=settings.CHANNEL_DEADLINE_S,
            connect_s=settings.CHANNEL_CONNECT_S,
            private_hosts=frozenset(settings.CHANNEL_PRIVATE_HOSTS),
            certificates=partial(ChannelCertificate.of, account.pk),
            bills=BillLimits(
                deadline_s=settings.BILL_DEADLINE_S,
                bytes_max=settings.BILL_BYTES_MAX,
                unpacked_bytes_max=settings.BILL_UNPACKED_BYTES_MAX,
            ),
        ),
    )


def cashier_url(order: Order) -> str:
    """The payer's page of an order."""
    return f"{settings.PUBLIC_BASE_URL}/cashier/{order.cashier_token}"


def callback_url(account: ChannelAccount) -> str:
    """Where the channel tells us about this account's payments and refunds; no query string, as they demand."""
    return f"{settings.PUBLIC_BASE_URL}/callbacks/{account.channel}/{account.pk}"
