"""Who the payer is: the browser gets an auth_code, the merchant's server changes it for the open_id.

`alipay.system.oauth.token` has its arguments beside the common parameters, not in biz_content, and its success has no
code. Also here: the download of a certificate by its SN.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect

from sandbox import chance, clock, options, payer
from sandbox.alipay import content, signing
from sandbox.alipay.content import Text
from sandbox.alipay.errors import preset
from sandbox.alipay.gateway import Ask, Method
from sandbox.models import OAuthCode
from sandbox.plans import CallPlan
from sandbox.redirects import allowed, with_query
from sandbox.store import writing

CODE_LIFETIME = timedelta(minutes=5)
SCOPES = frozenset({"auth_base", "auth_user"})
_REFRESH = "refresh"


def authorize(request: HttpRequest) -> HttpResponseBase:
    """Send the browser back to `redirect_uri` with `auth_code`, `app_id`, `scope` and `state`."""
    if request.method != "GET":
        return HttpResponse(status=405)
    asked = request.GET
    app_id, redirect_uri, scope = asked.get("app_id", ""), asked.get("redirect_uri", ""), asked.get("scope", "")
    if problem := _problem(app_id, redirect_uri, scope):
        return HttpResponse(problem, status=400, content_type="text/plain; charset=utf-8")
    who = payer.payer_of(request)
    code = _hand_out("alipay_code", app_id=app_id, who=who, scope=scope, lifetime=CODE_LIFETIME)
    back = {"app_id": app_id, "source": "alipay_wallet", "scope": scope, "auth_code": code}
    if "state" in asked:
        back["state"] = asked["state"]
    response = HttpResponseRedirect(with_query(redirect_uri, **back))
    payer.remember(response, who)
    return response


def _problem(app_id: str, redirect_uri: str, scope: str) -> str:
    if app_id != signing.side().app_id:
        return "insufficient-isv-permissions app_id 无效 / unknown app_id"
    if not allowed(redirect_uri):
        return "redirect_uri 与应用网关配置不一致 / redirect_uri: this host is not allowed"
    return "" if scope in SCOPES else "scope 参数错误 / unknown scope"


def _hand_out(kind: str, *, app_id: str, who: str, scope: str, lifetime: timedelta) -> str:
    named = payer.alipay_user_id(who) if options.get("alipay_user_ids") else ""
    code = chance.text(kind)
    with writing():
        OAuthCode.objects.create(
            code=code,
            appid=app_id,
            openid=named or payer.alipay_open_id(app_id=app_id, payer=who),
            scope=scope,
            expires_at=clock.now() + lifetime,
        )
    return code


@dataclass(frozen=True, kw_only=True)
class TokenWish:
    code: str
    is_refresh: bool


def _read_token(ask: Ask) -> TokenWish:
    grant = ask.params.get("grant_type", "")
    if grant not in {"authorization_code", "refresh_token"}:
        raise preset("isv.grant-type-invalid")
    is_refresh = grant == "refresh_token"
    return TokenWish(code=ask.params.get("refresh_token" if is_refresh else "code", ""), is_refresh=is_refresh)


def _token(ask: Ask, wish: TokenWish, plan: CallPlan) -> dict[str, Any]:  # noqa: ARG001 - the shape of all methods
    now = clock.now()
    with writing():
        found = OAuthCode.objects.filter(code=wish.code, appid=ask.side.app_id).first()
        is_good = found is not None and found.used_at is None and found.expires_at > now
        if found is None or not is_good or (found.scope == _REFRESH) != wish.is_refresh:
            raise preset("isv.refresh-token-invalid" if wish.is_refresh else "isv.code-invalid")
        found.used_at = now
        found.save(update_fields=["used_at"])
        refresh = chance.text("alipay_refresh")
        OAuthCode.objects.create(
            code=refresh, appid=found.appid, openid=found.openid, scope=_REFRESH, expires_at=now + timedelta(days=30)
        )
    return {
        "access_token": f"SANDBOX{chance.text('alipay_token')}",
        "auth_start": f"{now.astimezone(clock.BEIJING):%Y-%m-%d %H:%M:%S}",
        "expires_in": 1_296_000,
        "re_expires_in": 2_592_000,
        "refresh_token": refresh,
        "user_id" if found.openid.startswith("2088") else "open_id": found.openid,
    }


def _read_certificate(ask: Ask) -> str:
    content.check(ask.biz, {"alipay_cert_sn": Text(max_length=64, label="alipay_cert_sn", required=True)})
    return str(ask.biz["alipay_cert_sn"])


def _certificate(ask: Ask, wish: str, plan: CallPlan) -> dict[str, Any]:  # noqa: ARG001
    pem = ask.side.certificate(wish)
    if not pem:
        raise preset("isv.invalid-alipay-cert-sn")
    return {"alipay_cert_content": base64.b64encode(pem.encode()).decode()}


METHODS: Mapping[str, Method[Any]] = {
    "alipay.system.oauth.token": Method(
        operation="oauth", read=_read_token, execute=_token, subject=lambda *_: ("", 0), has_code=False
    ),
    "alipay.open.app.alipaycert.download": Method(
        operation="certificates", read=_read_certificate, execute=_certificate, subject=lambda *_: ("", 0)
    ),
}
