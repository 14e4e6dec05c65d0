"""Who we are in a request to WeChat Pay: a merchant itself, or a service provider that acts for one of its merchants.

Source: pay.weixin.qq.com/doc/v3/partner/4012738519. The header is signed by the provider either way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Identity:
    """The names and paths of one account's mode; `sub_mchid` in its settings makes it a provider's."""

    settings: Mapping[str, Any]

    @property
    def is_partner(self) -> bool:
        return bool(self.settings.get("sub_mchid"))

    @property
    def path(self) -> str:
        return "/v3/pay/partner/transactions" if self.is_partner else "/v3/pay/transactions"

    def ids(self) -> dict[str, str]:
        """What names the account in a trade, in requests and in answers alike."""
        if not self.is_partner:
            return {name: self.settings[name] for name in ("appid", "mchid")}
        found = {
            "sp_appid": self.settings["appid"], "sp_mchid": self.settings["mchid"],
            "sub_mchid": self.settings["sub_mchid"],
        }  # fmt: skip
        return found | {"sub_appid": self.settings["sub_appid"]} if self.settings.get("sub_appid") else found

    def merchant(self) -> dict[str, str]:
        """The same without the apps: for queries and closes."""
        return {name: value for name, value in self.ids().items() if name.endswith("mchid")}

    def sub_merchant(self) -> dict[str, str]:
        """What refunds and bills want besides: nothing in direct mode."""
        return {"sub_mchid": self.settings["sub_mchid"]} if self.is_partner else {}

    def payer(self, openid: str) -> dict[str, str]:
        """An openid belongs to the app under which the payer was asked: the sub-merchant's own when it has one."""
        if not self.is_partner:
            return {"openid": openid}
        return {"sub_openid" if self.settings.get("sub_appid") else "sp_openid": openid}

    @property
    def page_appid(self) -> str:
        return str(self.settings.get("sub_appid") or self.settings["appid"])
