"""What the UnionPay app would open: the cash desk behind payData. Afterwards it goes to the order's frontUrl."""

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext_lazy as _

from sandbox import environment
from sandbox.models import UNIONPAY, PayOrder, Prepay
from sandbox.phone import sheets
from sandbox.phone.sheets import CannotPay, Sheet
from sandbox.redirects import allowed

CODE_START = f"{environment.current().base_url}/phone/unionpay/"


def desk(request: HttpRequest, token: str) -> HttpResponseBase:
    """GET of a payData address."""
    order = PayOrder.objects.filter(channel=UNIONPAY, prepay__token=token).first()
    front_url = str(order.facts.get("front_url", "")) if order else ""
    return sheets.show(
        request, channel=UNIONPAY, find=lambda: _desk(token), back=front_url if allowed(front_url) else ""
    )


def scanned(request: HttpRequest, code: str) -> HttpResponseBase:
    return desk(request, code.removeprefix(CODE_START))


def open_code(order: PayOrder) -> str:
    prepay = Prepay.objects.filter(order=order).first()
    return CODE_START + prepay.token if prepay else ""


def _desk(token: str) -> Sheet:
    prepay = Prepay.objects.select_related("order").filter(token=token, order__channel=UNIONPAY).first()
    if prepay is None:
        raise CannotPay(_("There is no such payment."))
    return Sheet(order=prepay.order, until=prepay.expires_at)
