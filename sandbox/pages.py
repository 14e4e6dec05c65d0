"""Pages for people: language, strict Content-Security-Policy, style sheets and the one script of our own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import translation

LANGUAGE_COOKIE = "sandbox_lang"
_ASSETS = Path(__file__).parent / "static"
_KINDS = {".css": "text/css", ".js": "text/javascript"}


def language_of(request: HttpRequest) -> str:
    """`?lang=` (zh, zh-Hans, en, ...), what was chosen on the control page, else what the browser prefers."""
    named = request.GET.get("lang") or request.POST.get("lang") or request.COOKIES.get(LANGUAGE_COOKIE)
    asked = (named or "").lower()
    by_name = next((code for start, code in (("zh", "zh-hans"), ("en", "en")) if asked.startswith(start)), "")
    return by_name or translation.get_language_from_request(request)


def page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    form_targets: str = "",
    scripts: str = "",
) -> HttpResponse:
    """Render in the request's language. A browser applies `form-action` also to the redirect that answers the form."""
    with translation.override(language_of(request)):
        response = render(request, template, dict(context), status=status)
    response["Content-Security-Policy"] = (
        f"default-src 'none'; {f'script-src {scripts}; ' if scripts else ''}style-src 'self'; img-src 'self' data:;"
        " base-uri 'none'; frame-ancestors 'none';"
        f" form-action 'self' {form_targets}".rstrip()
    )
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def asset(request: HttpRequest, *, name: str) -> HttpResponseBase:  # noqa: ARG001 - a view
    """A style sheet or a script, by the name of its file."""
    kind = _KINDS[Path(name).suffix]
    response = HttpResponse((_ASSETS / name).read_bytes(), content_type=f"{kind}; charset=utf-8")
    response["Cache-Control"] = "max-age=60"
    response["X-Content-Type-Options"] = "nosniff"
    return response
