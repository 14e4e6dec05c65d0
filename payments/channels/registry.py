"""Every channel we speak, by name. Adding one is a folder and a line here."""

from typing import Final

from payments.channels.alipay.channel import AlipayChannel
from payments.channels.base import AccountConfig, Channel
from payments.channels.wechatpay.channel import WechatpayChannel

CHANNELS: Final[dict[str, type[WechatpayChannel] | type[AlipayChannel]]] = {
    channel.name: channel for channel in (WechatpayChannel, AlipayChannel)
}


def open_channel(name: str, config: AccountConfig) -> Channel:
    return CHANNELS[name](config)
