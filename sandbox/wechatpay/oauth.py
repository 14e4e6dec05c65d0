"""OAuth2 of official accounts in outline: the browser gets a code, the merchant's server changes it for the openid.

Failures of the second step are HTTP 200 with an errcode, as live.
"""

import secrets
from datetime import timedelta

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse

from sandbox import chance, clock, payer
from sandbox.models import OAuthCode
from sandbox.redirects import allowed, with_query
from sandbox.store import writing
from sandbox.wechatpay.signing import platform

CODE_LIFETIME = timedelta(minutes=5)
SCOPES = frozenset({"snsapi_base", "snsapi_userinfo"})


def authorize(request: HttpRequest) -> HttpResponseBase:
    """Send the browser back to `redirect_uri` with `code` and `state`. The payer's cookie decides who it is."""
    if request.method != "GET":
        return HttpResponse(status=405)
    asked = request.GET
    redirect_uri = asked.get("redirect_uri", "")
    problem = _problem(asked.get("appid", ""), redirect_uri, asked.get("response_type", ""), asked.get("scope", ""))
    if problem:
        return HttpResponse(problem, status=400, content_type="text/plain; charset=utf-8")
    who = payer.payer_of(request)
    code = chance.text("oauth_code")
    with writing():
        OAuthCode.objects.create(
            code=code,
            appid=asked["appid"],
            openid=payer.openid(appid=asked["appid"], payer=who),
            scope=asked["scope"],
            expires_at=clock.now() + CODE_LIFETIME,
        )
    response = HttpResponseRedirect(with_query(redirect_uri, code=code, state=asked.get("state", "")))
    payer.remember(response, who)
    return response


def access_token(request: HttpRequest) -> HttpResponse:
    if request.method != "GET":
        return HttpResponse(status=405)
    asked = request.GET
    merchant = platform().merchant_of_app(asked.get("appid", ""))
    if merchant is None:
        return _failed(40013, "invalid appid")
    if not secrets.compare_digest(asked.get("secret", "").encode(), merchant.app_secret.encode()):
        return _failed(40125, "invalid appsecret")
    if asked.get("grant_type") != "authorization_code":
        return _failed(40002, "invalid grant_type")
    if not asked.get("code"):
        return _failed(41008, "missing code")
    return _exchange(appid=asked["appid"], code=asked["code"])


def _problem(appid: str, redirect_uri: str, response_type: str, scope: str) -> str:
    if platform().merchant_of_app(appid) is None:
        return "10013 appid 错误 / unknown appid"
    if not allowed(redirect_uri):
        return "10003 redirect_uri 域名与后台配置不一致 / redirect_uri: this host is not allowed"
    if response_type != "code":
        return "10004 response_type 错误 / response_type must be code"
    return "" if scope in SCOPES else "10005 scope 参数错误 / unknown scope"


def _exchange(*, appid: str, code: str) -> HttpResponse:
    now = clock.now()
    with writing():
        found = OAuthCode.objects.filter(code=code, appid=appid).first()
        if found is None or found.expires_at <= now:
            return _failed(40029, "invalid code")
        if found.used_at is not None:
            return _failed(40163, "code been used")
        found.used_at = now
        found.save(update_fields=["used_at"])
    return JsonResponse(
        {
            "access_token": f"SANDBOX_{chance.text('oauth_token')}",
            "expires_in": 7200,
            "refresh_token": f"SANDBOX_{chance.text('oauth_token')}",
            "openid": found.openid,
            "scope": found.scope,
        }
    )


def _failed(code: int, message: str) -> HttpResponse:
    return JsonResponse({"errcode": code, "errmsg": message})
