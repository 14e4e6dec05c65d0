"""Whose orders a request is about: a merchant's own, or those of a sub-merchant for whom a provider acts."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.models import WECHATPAY, PayOrder
from sandbox.wechatpay import checks
from sandbox.wechatpay.checks import Ask
from sandbox.wechatpay.errors import param_error, preset
from sandbox.wechatpay.fields import Field, Text

MCHID = Text(label="直连商户号", max_length=32, required=True)
APPID = Text(label="公众账号ID", max_length=32, required=True)
SUB_MCHID = Text(label="子商户号", max_length=32)
_PARTNER_MCHIDS: Mapping[str, Field] = {
    "sp_mchid": Text(label="服务商户号", max_length=32, required=True),
    "sub_mchid": Text(label="子商户号", max_length=32, required=True),
}


@dataclass(frozen=True, kw_only=True)
class Owner:
    """`sub_mchid` is "" in direct mode."""

    mchid: str
    sub_mchid: str = ""

    def orders(self, **named: str) -> PayOrder | None:
        """The one order of this owner with that number, or None."""
        mine = PayOrder.objects.filter(channel=WECHATPAY, mchid=self.mchid, sub_mchid=self.sub_mchid)
        return mine.filter(**named).first()


def members(*, partner: bool) -> Mapping[str, Field]:
    """The fields that name the owner in a body without an app."""
    return _PARTNER_MCHIDS if partner else {"mchid": MCHID}


def members_with_app(*, partner: bool) -> Mapping[str, Field]:
    if not partner:
        return {"appid": APPID, "mchid": MCHID}
    return {
        "sp_appid": Text(label="服务商公众账号ID", max_length=32, required=True),
        **_PARTNER_MCHIDS,
        "sub_appid": Text(label="子商户公众账号ID", max_length=32),
    }


def of_body(ask: Ask, *, partner: bool) -> Owner:
    """Raises Refused for a sub-merchant or an app that is not ours."""
    app = ask.body.get("sp_appid" if partner else "appid", ask.merchant.appid)
    if app != ask.merchant.appid:
        raise preset("APPID_MCHID_NOT_MATCH")
    return _owner(ask, str(ask.body["sub_mchid"]) if partner else "", sub_appid=ask.body.get("sub_appid"))


def of_query(ask: Ask, *, partner: bool) -> Owner:
    """From `?mchid=`, or `?sp_mchid=&sub_mchid=`; nothing else may be there. Raises Refused."""
    names = ("sp_mchid", "sub_mchid") if partner else ("mchid",)
    checks.require_query(ask, *names)
    if ask.query[names[0]] != ask.merchant.mchid:
        raise param_error(checks.MCHID_WRONG)
    return _owner(ask, ask.query["sub_mchid"] if partner else "")


def of_sub_mchid(ask: Ask, sub_mchid: str) -> Owner:
    """Where one path serves both modes: refunds and bills. Raises Refused."""
    return _owner(ask, sub_mchid)


def _owner(ask: Ask, sub_mchid: str, *, sub_appid: str | None = None) -> Owner:
    if sub_mchid:
        sub = ask.merchant.sub_merchant(sub_mchid)
        if sub is None:
            raise preset("NO_AUTH", message="特约商户未授权服务商的产品权限")
        if sub_appid not in {None, sub.sub_appid}:
            raise preset("APPID_MCHID_NOT_MATCH", message="sub_appid和sub_mchid不匹配，请检查后再试")
    return Owner(mchid=ask.merchant.mchid, sub_mchid=sub_mchid)
