"""Every channel we speak, by name. Adding one is a folder and a line here."""

from payments.channels.base import AccountConfig, Channel
from payments.channels.wechatpay.channel import WechatpayChannel

CHANNELS: dict[str, type[WechatpayChannel]] = {
    WechatpayChannel.name: WechatpayChannel,
}


def open_channel(name: str, config: AccountConfig) -> Channel:
    return CHANNELS[name](config)
