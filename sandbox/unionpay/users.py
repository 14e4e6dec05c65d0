"""Who the payer is: the browser gets a userAuthCode, and the merchant's server changes it for the userId.

The redirect is public. The call that changes the code is each acquirer's own; this one is the model's.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect

from sandbox import chance, clock, payer
from sandbox.models import OAuthCode
from sandbox.plans import CallPlan
from sandbox.redirects import allowed, with_query
from sandbox.store import writing
from sandbox.unionpay import signing
from sandbox.unionpay.gateway import ACCOUNT, Call, Refused

CODE_LIFETIME = timedelta(minutes=5)
VERSION = "1.0.0"


def user_auth(request: HttpRequest) -> HttpResponseBase:
    """GET /qrcGtwWeb-web/api/userAuth: back with userAuthCode and respCode. The payer's cookie decides who it is."""
    back = request.GET.get("redirectUrl", "")
    if request.method != "GET" or request.GET.get("version") != VERSION or not allowed(back):
        return HttpResponse("version, or redirectUrl: this host is not allowed", status=400, content_type="text/plain")
    who = payer.payer_of(request)
    response = HttpResponseRedirect(with_query(back, userAuthCode=_hand_out(who), respCode="00"))
    payer.remember(response, who)
    return response


def _hand_out(who: str) -> str:
    mer_id = signing.side().mer_id
    code = chance.text("unionpay_code")
    with writing():
        OAuthCode.objects.create(
            code=code,
            appid=mer_id,
            openid=payer.unionpay_user_id(mer_id=mer_id, payer=who),
            scope="userAuth",
            expires_at=clock.now() + CODE_LIFETIME,
        )
    return code


def _exchange(params: Mapping[str, Any], plan: CallPlan) -> dict[str, Any]:  # noqa: ARG001 - the shape of all calls
    now = clock.now()
    with writing():
        found = OAuthCode.objects.filter(code=params["userAuthCode"], appid=params["merId"], used_at=None).first()
        if found is None or found.expires_at <= now:
            raise Refused("USER_AUTH_CODE_INVALID")
        found.used_at = now
        found.save(update_fields=["used_at"])
    return {"userId": found.openid}


CALL = Call(
    operation="oauth",
    fields={**ACCOUNT, "userAuthCode": r".{1,128}", "appUpIdentifier": r"UnionPay/[0-9.]{1,16} [0-9A-Za-z]{1,32}"},
    required=frozenset({*ACCOUNT, "userAuthCode", "appUpIdentifier"}),
    execute=_exchange,
    subject=lambda _params: ("", 0),
)
