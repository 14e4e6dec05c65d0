"""alipay.data.dataservice.bill.downloadurl.query and the zip of GBK CSV files behind its address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from sandbox import bills, chance, clock, environment
from sandbox.alipay import bill_layout, content
from sandbox.alipay.content import Text
from sandbox.alipay.errors import preset
from sandbox.alipay.gateway import Ask, Method
from sandbox.calls import Log
from sandbox.clock import BEIJING
from sandbox.models import ALIPAY, BillFile
from sandbox.plans import CallPlan
from sandbox.store import writing
from sandbox.wire import play

FILE_LIFETIME = timedelta(seconds=30)
MONTH_READY_DAY = 3
FIRST_DAY = date(2016, 1, 1)
_MEMBERS = {
    "bill_type": Text(max_length=32, label="bill_type", required=True),
    "bill_date": Text(max_length=16, label="bill_date", required=True),
    "smid": Text(max_length=32, label="smid"),
}


@dataclass(frozen=True, kw_only=True)
class BillWish:
    """`text` is the date as it was asked for: a day or a month."""

    kind: str
    text: str
    first: date
    days: int

    @property
    def last(self) -> date:
        return self.first + timedelta(days=self.days - 1)

    @property
    def ready_at(self) -> datetime:
        if self.days == 1:
            return bills.ready_at(self.first)
        return bills.ready_at(self.last + timedelta(days=MONTH_READY_DAY - 1))


def _read(ask: Ask) -> BillWish:
    content.check(ask.biz, _MEMBERS)
    kind, text = ask.biz["bill_type"], ask.biz["bill_date"]
    if kind not in bill_layout.LAYOUTS:
        raise preset("isv.invaild_arguments")
    first, days = _span(text)
    if first < FIRST_DAY or first > clock.now().astimezone(BEIJING).date():
        raise preset("isv.invaild_arguments")
    return BillWish(kind=kind, text=text, first=first, days=days)


def _span(text: str) -> tuple[date, int]:
    """First day and number of days of `yyyy-MM-dd` or `yyyy-MM`. Raises Refused."""
    try:
        if len(text) == len("2026-01"):
            first = datetime.strptime(text, "%Y-%m").replace(tzinfo=BEIJING).date()
            following = (first + timedelta(days=32)).replace(day=1)
            return first, (following - first).days
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=BEIJING).date(), 1
    except ValueError as problem:
        raise preset("isv.invaild_arguments") from problem


def _make(ask: Ask, wish: BillWish, plan: CallPlan) -> dict[str, Any]:
    """Not ready and not there are one answer, as live."""
    now = clock.now()
    if now < wish.ready_at:
        raise preset("isp.bill_not_exist")
    found = bills.entries(
        channel=ALIPAY, mchid=ask.side.seller_id, sub_mchid="", first=wish.first, days=wish.days, trick=plan.bill
    )
    if not found:
        raise preset("isp.bill_not_exist")
    sheet = bill_layout.Sheet(seller_id=ask.side.seller_id, first=wish.first, days=wish.days, entries=found, now=now)
    packed = bill_layout.packed(sheet, kind=wish.kind, trick=plan.bill)
    return _offer(ask, wish, packed, plan, now=now)


def _offer(ask: Ask, wish: BillWish, packed: bytes, plan: CallPlan, *, now: datetime) -> dict[str, Any]:
    token = chance.text("bill_token", size=24)
    name = f"{ask.side.seller_id}0156_{wish.text.replace('-', '')}.zip"
    with writing():
        BillFile.objects.create(
            token=token,
            channel=ALIPAY,
            mchid=ask.side.seller_id,
            filename=name,
            content=packed,
            expires_at=now if plan.bill == "expired_token" else now + FILE_LIFETIME,
        )
    base = environment.current().base_url
    url = f"{base}/bill/downloadBillFile.resource?bizType={wish.kind}&fileType=csv.zip&downloadFileName={name}"
    return {"bill_download_url": f"{url}&token={token}", "bill_file_code": "SUCCESS"}


def download(request: HttpRequest) -> HttpResponseBase:
    """GET of a bill_download_url: the zip, to whoever has the address, for thirty seconds."""
    if request.method != "GET":
        return HttpResponse(status=405)
    log = Log(request, channel=ALIPAY, operation="bill_file", mchid="")
    chosen = log.begin(number="")
    response = _file(request.GET.get("token", ""))
    log.executed(done=response.status_code == 200, fault=chosen.name)
    log.finish(status=response.status_code, code="")
    return play(chosen.call.wire, request, response)


def _file(token: str) -> HttpResponse:
    found = BillFile.objects.filter(token=token, channel=ALIPAY).first()
    if found is None or found.expires_at <= clock.now():
        return HttpResponse("下载链接已失效", status=403, content_type="text/html;charset=utf-8")
    response = HttpResponse(bytes(found.content), content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="{found.filename}"'
    return response


METHODS: Mapping[str, Method[Any]] = {
    "alipay.data.dataservice.bill.downloadurl.query": Method(
        operation="bill", read=_read, execute=_make, subject=lambda _, wish: (wish.text, 0)
    ),
}
