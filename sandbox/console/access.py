"""Who may use the control page: a browser that was given the control token once, and forms that we have shown it."""

import functools
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from sandbox import clock, options, pages
from sandbox.wechatpay.signing import platform

COOKIE = "sandbox_console"
SALT = "sandbox.console"
SESSION_S = 12 * 3_600
HOME = "/_sandbox/ui/orders"
LOGIN = "/_sandbox/login"
View = Callable[..., HttpResponseBase]


def view(*, get: View | None = None, post: View | None = None) -> View:
    """One page: only for those who are signed in, and a form only with the secret that its page carried."""

    @functools.wraps(get or post or login)
    def serve(request: HttpRequest, **named: Any) -> HttpResponseBase:
        handler = {"GET": get, "POST": post}.get(str(request.method))
        if handler is None:
            return HttpResponse(status=405)
        session = session_of(request)
        if not session:
            return HttpResponseRedirect(LOGIN)
        if request.method == "POST" and not hmac.compare_digest(request.POST.get("form", ""), form_secret(session)):
            return HttpResponse(status=403)
        return handler(request, **named)

    return serve


def render(request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """A page of the console with what all of them show: the clock, the seed, the language, the form's secret."""
    named = request.GET.get("lang", "")
    common = {
        "form": form_secret(session_of(request)),
        "now": clock.now(),
        "offset_s": options.get("clock_offset_s"),
        "seed": options.get("seed"),
        "here": request.path,
        "other_language": "en" if pages.language_of(request) == "zh-hans" else "zh",
    }
    response = pages.page(request, template, common | dict(context), status=status)
    if named:
        response.set_cookie(pages.LANGUAGE_COOKIE, named[:8], max_age=SESSION_S * 60, httponly=True, samesite="Lax")
    return response


def login(request: HttpRequest) -> HttpResponseBase:
    """The token once, then a cookie that only this host gets back."""
    wrong = ""
    if request.method == "POST":
        token = request.POST.get("token", "").strip()
        if secrets.compare_digest(token.encode(), platform().control_token.encode()):
            response = HttpResponseRedirect(HOME)
            session = signing.dumps(secrets.token_hex(16), salt=SALT)
            response.set_cookie(COOKIE, session, max_age=SESSION_S, httponly=True, samesite="Strict")
            return response
        wrong = str(_("This is not the control token of this sandbox."))
    return render(request, "console/login.html", {"wrong": wrong}, status=401 if wrong else 200)


def logout(request: HttpRequest) -> HttpResponseBase:  # noqa: ARG001 - a view
    response = HttpResponseRedirect(LOGIN)
    response.delete_cookie(COOKIE)
    return response


def session_of(request: HttpRequest) -> str:
    """What the cookie proves, "" without one."""
    try:
        return str(signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=SESSION_S))
    except signing.BadSignature:
        return ""


def form_secret(session: str) -> str:
    """What a form of this session carries; another site cannot know it."""
    return signing.Signer(salt=SALT).signature(f"form/{session}") if session else ""


def back(request: HttpRequest, otherwise: str) -> HttpResponseRedirect:
    """To the page that the form stood on."""
    asked = request.POST.get("back", "")
    return HttpResponseRedirect(asked if asked.startswith("/_sandbox/ui/") else otherwise)
