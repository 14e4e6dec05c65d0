"""Every channel we speak, by name. Adding one is a folder and a line here."""

from typing import Final

from payments.channels.alipay.channel import AlipayChannel
from payments.channels.base import AccountConfig, Channel
from payments.channels.unionpay.channel import UnionpayChannel
from payments.channels.wechatpay.channel import WechatpayChannel

_ALL: tuple[type[Channel], ...] = (WechatpayChannel, AlipayChannel, UnionpayChannel)
CHANNELS: Final = {channel.name: channel for channel in _ALL}


def open_channel(name: str, config: AccountConfig) -> Channel:
    return CHANNELS[name](config)


def queue_of(name: str) -> str:
    """The queue of all work that asks the channel: its own, so that one which hangs holds up nobody else's."""
    return f"channel.{name}"
