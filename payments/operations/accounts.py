"""From a row to a channel that can be asked."""

from django.conf import settings

from openplatform.models import App
from payments.channels.base import AccountConfig, Capabilities, Channel
from payments.channels.registry import CHANNELS, open_channel
from payments.errors import PaymentsError
from payments.models import ChannelAccount, Payment


class ChannelNotAvailable(PaymentsError):
    """The merchant has no active account at this channel, or the channel does not know this method."""

    code = "CHANNEL_NOT_AVAILABLE"


class OtherAppid(PaymentsError):
    """The appid is not the one of the merchant's account at the channel."""

    code = "APPID_MCHID_NOT_MATCH"


def active_account(*, app: App, channel: str, method: str, appid: str = "") -> ChannelAccount:
    """The merchant's account for new payments. Raises ChannelNotAvailable, and OtherAppid when it has not `appid`."""
    if channel not in CHANNELS or method not in CHANNELS[channel].capabilities.methods:
        raise ChannelNotAvailable
    active = ChannelAccount.objects.filter(merchant_id=app.merchant_id, channel=channel, is_active=True)
    account = active.order_by("rank").first()
    if account is None:
        raise ChannelNotAvailable
    if appid and account.settings.get("appid") != appid:
        raise OtherAppid
    return account


def next_account(payment: Payment) -> ChannelAccount | None:
    """The account to turn to when the channel refuses `payment` because of its account; None when there is none.

    A payer's id belongs to one appid: where the method needs it, only an account under the same appid will do.
    """
    used = payment.account
    others = ChannelAccount.objects.filter(
        merchant_id=used.merchant_id, channel=used.channel, is_active=True, rank__gt=used.rank
    )
    needs_openid = "openid" in capabilities_of(used).methods[payment.method]
    fitting = (other for other in others.order_by("rank") if not needs_openid or _knows_payers_of(other, used))
    return next(fitting, None)


def _knows_payers_of(account: ChannelAccount, other: ChannelAccount) -> bool:
    """Whether a payer has the same id at both: it is given under an app, a sub-merchant's own where it has one."""
    return all(account.settings.get(name) == other.settings.get(name) for name in ("appid", "sub_appid", "app_id"))


def capabilities_of(account: ChannelAccount) -> Capabilities:
    return CHANNELS[account.channel].capabilities


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
        ),
    )


def callback_url(account: ChannelAccount) -> str:
    """Where the channel tells us about this account's payments and refunds; no query string, as they demand."""
    return f"{settings.PUBLIC_BASE_URL}/callbacks/{account.channel}/{account.pk}"
