"""What the pages for people outside the console have in common: language, headers, and the frame's links."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import get_language

LANGUAGES = {"zh": "zh-hans", "en": "en"}


def page_language() -> str:
    """`zh` or `en`."""
    return "en" if (get_language() or "").startswith("en") else "zh"


def frame_context(request: HttpRequest) -> dict[str, Any]:
    """What the frame of every page needs: the way to the other language, which keeps the rest of the query."""
    switch_to = "en" if page_language() == "zh" else "zh"
    query = request.GET.copy()
    query["lang"] = switch_to
    return {"switch_to": switch_to, "switch_url": f"?{query.urlencode()}"}


def switched(request: HttpRequest) -> HttpResponse | None:
    """For `?lang=zh|en`: back to the same address without it, and the choice in a cookie. None without a choice.

    The path is one of ours, so this can lead nowhere else.
    """
    language = LANGUAGES.get(request.GET.get("lang", ""))
    if language is None:
        return None
    query = request.GET.copy()
    del query["lang"]
    response = HttpResponseRedirect(f"{request.path}?{query.urlencode()}" if query else request.path)
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME, language, max_age=31_536_000, path="/", samesite="Lax", httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
    )  # fmt: skip
    return response


def private(response: HttpResponse) -> HttpResponse:
    """Nobody keeps the answer, and nobody is told where its reader came from."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
