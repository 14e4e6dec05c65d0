"""What the UnionPay app would open: the cash desk behind payData; and who the payer is."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from sandbox import environment, payer
from sandbox.models import UNIONPAY, PayOrder, Prepay
from sandbox.phone import sheets
from sandbox.phone.sheets import CannotPay, Sheet
from sandbox.redirects import allowed, with_query
from sandbox.unionpay import signing

CODE_START = f"{environment.current().base_url}/phone/unionpay/"


def desk(request: HttpRequest, token: str) -> HttpResponseBase:
    """GET of a payData address."""
    return sheets.show(request, channel=UNIONPAY, find=lambda: _desk(token))


def scanned(request: HttpRequest, code: str) -> HttpResponseBase:
    return desk(request, code.removeprefix(CODE_START))


def user_auth(request: HttpRequest) -> HttpResponseBase:
    """GET /qrcGtwWeb-web/api/userAuth: back with userAuthCode, which in this model is the userId itself."""
    back = request.GET.get("redirectUrl", "")
    if request.method != "GET" or not allowed(back):
        return HttpResponse("redirectUrl: this host is not allowed", status=400, content_type="text/plain")
    who = payer.payer_of(request)
    named = payer.unionpay_user_id(mer_id=signing.side().mer_id, payer=who)
    response = HttpResponseRedirect(with_query(back, userAuthCode=named, respCode="00"))
    payer.remember(response, who)
    return response


def open_code(order: PayOrder) -> str:
    prepay = Prepay.objects.filter(order=order).first()
    return CODE_START + prepay.token if prepay else ""


def _desk(token: str) -> Sheet:
    prepay = Prepay.objects.select_related("order").filter(token=token, order__channel=UNIONPAY).first()
    if prepay is None:
        raise CannotPay(_("There is no such payment."))
    return Sheet(order=prepay.order, until=prepay.expires_at)
