"""The products that create an order, as data: fields, limits, and what the answer hands out.

Another product is another entry here and its trade type in bodies.py.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from sandbox import environment, redirects
from sandbox.wechatpay import owner
from sandbox.wechatpay.fields import Field, Flag, Group, Many, Text, Whole

DEFAULT_LIFETIME = timedelta(days=7)
LIFETIME_MIN = timedelta(minutes=1)
DETAIL_BYTES_MAX = 6_144
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d"


def notify_url_issue(url: str) -> str:
    """What is wrong with a notify_url, or "". Only the development switch allows http and private hosts."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "回调地址格式错误"
    if "?" in url or "#" in url:
        return "回调地址不能携带参数"
    if not parts.hostname or parts.scheme not in {"http", "https"} or parts.username is not None:
        return "回调地址格式错误"
    if environment.current().allow_http_notify:
        return ""
    if parts.scheme != "https":
        return "回调地址必须为https"
    return "回调地址必须为公网可访问的地址" if redirects.is_private(parts.hostname) else ""


CURRENCY = Text(label="货币类型", max_length=16, choices=("CNY",))
NOTIFY_URL = Text(label="通知地址", max_length=255, required=True, rule=notify_url_issue)
_GOODS = Group(
    label="单品",
    members={
        "merchant_goods_id": Text(label="商户侧商品编码", max_length=32, required=True),
        "wechatpay_goods_id": Text(label="微信支付商品编码", max_length=32),
        "goods_name": Text(label="商品名称", max_length=256),
        "quantity": Whole(label="商品数量", minimum=1, required=True),
        "unit_price": Whole(label="商品单价", required=True),
    },
)
_STORE = Group(
    label="商户门店信息",
    members={
        "id": Text(label="门店编号", max_length=32, required=True),
        "name": Text(label="门店名称", max_length=256),
        "area_code": Text(label="地区编码", max_length=32),
        "address": Text(label="详细地址", max_length=512),
    },
)
_SCENE_MEMBERS: Mapping[str, Field] = {
    "payer_client_ip": Text(label="用户终端IP", max_length=45, required=True),
    "device_id": Text(label="商户端设备号", max_length=32),
    "store_info": _STORE,
}
_COMMON: Mapping[str, Field] = {
    "description": Text(label="商品描述", max_length=127, required=True),
    "out_trade_no": Text(label="商户订单号", min_length=6, max_length=32, required=True, pattern=r"[0-9A-Za-z_\-|*]+"),
    "time_expire": Text(label="交易结束时间", max_length=64, pattern=_TIME),
    "attach": Text(label="附加数据", min_length=0, max_length=128),
    "notify_url": NOTIFY_URL,
    "goods_tag": Text(label="订单优惠标记", max_length=32),
    "limit_pay": Many(label="指定支付方式", item=Text(label="支付方式", max_length=32)),
    "support_fapiao": Flag(label="电子发票入口开放标识"),
    "amount": Group(
        label="订单金额",
        required=True,
        members={"total": Whole(label="总金额", minimum=1, required=True), "currency": CURRENCY},
    ),
    "detail": Group(
        label="优惠功能",
        bytes_max=DETAIL_BYTES_MAX,
        members={
            "cost_price": Whole(label="订单原价"),
            "invoice_id": Text(label="商品小票ID", max_length=32),
            "goods_detail": Many(label="单品列表", item=_GOODS),
        },
    ),
    "scene_info": Group(label="场景信息", members=_SCENE_MEMBERS),
    "settle_info": Group(label="结算信息", members={"profit_sharing": Flag(label="是否指定分账")}),
}
_OPENID = r"[0-9A-Za-z_\-]+"
_PAYER = Group(
    label="支付者",
    required=True,
    members={"openid": Text(label="用户标识", max_length=128, required=True, pattern=_OPENID)},
)
_PARTNER_PAYER = Group(
    label="支付者",
    required=True,
    members={
        "sp_openid": Text(label="用户服务标识", max_length=128, pattern=_OPENID),
        "sub_openid": Text(label="用户子标识", max_length=128, pattern=_OPENID),
    },
)
_H5_SCENE = Group(
    label="场景信息",
    required=True,
    members={
        **_SCENE_MEMBERS,
        "h5_info": Group(
            label="H5场景信息",
            required=True,
            members={
                "type": Text(label="场景类型", max_length=32, required=True, choices=("Wap", "iOS", "Android")),
                "app_name": Text(label="应用名称", max_length=64),
                "app_url": Text(label="网站URL", max_length=128),
                "bundle_id": Text(label="iOS平台BundleID", max_length=128),
                "package_name": Text(label="Android平台PackageName", max_length=128),
            },
        ),
    },
)
_CODE_SCENE = Group(
    label="场景信息",
    required=True,
    members={
        "device_id": Text(label="商户端设备号", max_length=32),
        "device_ip": Text(label="商户端设备IP", max_length=45),
        "store_info": Group(
            label="商户门店信息",
            members={
                "id": Text(label="门店编号", max_length=32),
                "out_id": Text(label="商家自定义编码", max_length=256),
            },
        ),
    },
)
CODEPAY: Mapping[str, Field] = {
    name: member
    for name, member in _COMMON.items()
    if name
    in {"description", "out_trade_no", "attach", "goods_tag", "support_fapiao", "amount", "detail", "settle_info"}
} | {
    "payer": Group(
        label="支付者",
        required=True,
        members={"auth_code": Text(label="付款码", max_length=32, required=True, pattern=r"[0-9]+")},
    ),
    "scene_info": _CODE_SCENE,
}


@dataclass(frozen=True, kw_only=True)
class Product:
    """`answer` makes the body of a 200 from the prepay token; an empty prefix is `wx` and the time."""

    name: str
    members: Mapping[str, Field]
    lifetime_max: timedelta
    token_bytes: int
    answer: Callable[[str], dict[str, Any]]
    token_prefix: str = ""
    token_lifetime: timedelta = timedelta(hours=2)

    def fields(self, *, partner: bool) -> Mapping[str, Field]:
        """All members of the body; in partner mode the four numbers and another payer."""
        mine = {**owner.members_with_app(partner=partner), **self.members}
        return mine | {"payer": _PARTNER_PAYER} if partner and "payer" in mine else mine


def h5_package(token: str) -> str:
    """The number that an h5_url carries beside its prepay_id."""
    return str(zlib.crc32(token.encode()))


def _h5_url(token: str) -> str:
    base = environment.current().base_url
    return f"{base}/cgi-bin/mmpayweb-bin/checkmweb?prepay_id={token}&package={h5_package(token)}"


CODE_URL_START = "weixin://wxpay/bizpayurl?pr="
PRODUCTS: Mapping[str, Product] = {
    "jsapi": Product(
        name="jsapi",
        members={**_COMMON, "payer": _PAYER},
        lifetime_max=timedelta(days=15),
        token_bytes=10,
        answer=lambda token: {"prepay_id": token},
    ),
    "native": Product(
        name="native",
        members=_COMMON,
        lifetime_max=timedelta(days=7),
        token_bytes=5,
        token_prefix="S",  # noqa: S106 - the first letter of a QR code's path
        answer=lambda token: {"code_url": CODE_URL_START + token},
    ),
    "h5": Product(
        name="h5",
        members={**_COMMON, "scene_info": _H5_SCENE},
        lifetime_max=timedelta(days=15),
        token_bytes=10,
        answer=lambda token: {"h5_url": _h5_url(token)},
        token_lifetime=timedelta(minutes=5),
    ),
    "app": Product(
        name="app",
        members=_COMMON,
        lifetime_max=timedelta(days=15),
        token_bytes=10,
        answer=lambda token: {"prepay_id": token},
    ),
}
