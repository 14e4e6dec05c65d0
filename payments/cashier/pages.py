"""What every page of the cashier has in common: headers, language, and refusals that a payer can read."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.shortcuts import render
from django.utils.decorators import decorator_from_middleware
from django.utils.functional import Promise
from django.views.decorators.csrf import csrf_exempt

from openplatform.pages import frame_context, page_language, private, switched
from openplatform.problems import Problem, RateLimited, plain_answer
from payments.cashier import wording
from payments.channels.registry import CHANNELS
from payments.errors import NotFound

__all__ = ["in_wallet", "json_view", "page_language", "page_view", "problem", "problem_page", "show_page"]

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def page_view(view: View[P]) -> View[P]:
    """A view whose answer nobody stores; `?lang=zh|en` is remembered in a cookie, and what is not there is a page."""

    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            response = switched(request) or view(request, *args, **kwargs)
        except NotFound:
            response = problem_page(request, wording.NOT_FOUND, status=404)
        except RateLimited as refusal:
            response = problem_page(request, wording.TOO_MANY, status=429, icon="expired")
            response.headers["Retry-After"] = refusal.headers["Retry-After"]
        return private(response)

    return wrapped


def json_view(view: View[P]) -> View[P]:
    """A view for our own script: problems are problem+json, that of a missing CSRF token too."""

    @wraps(view)
    def translated(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return private(view(request, *args, **kwargs))
        except NotFound:
            return problem(status=404, code="NOT_FOUND", detail=wording.NOT_FOUND.title)
        except RateLimited as refusal:
            response = problem(status=429, code=refusal.code, detail=wording.TOO_MANY.detail)
            response.headers["Retry-After"] = refusal.headers["Retry-After"]
            return response

    # The check is ours alone, because Django's middleware would answer with a page.
    checked = cast("View[P]", decorator_from_middleware(_CsrfAsProblem)(translated))
    return csrf_exempt(checked)


class _CsrfAsProblem(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:  # noqa: ARG002 - Django's signature
        return problem(status=403, code="CSRF_FAILED", detail=wording.OPEN_AGAIN)


def problem(*, status: int, code: str, detail: str | Promise, **extra: str) -> HttpResponse:
    """A refusal for our own script; `detail` is shown to the payer as it is."""
    return private(plain_answer(Problem(str(detail), status=status, code=code, extra=extra)))


def problem_page(
    request: HttpRequest, words: wording.Words, *, status: int, again_url: str = "", icon: str = "failed"
) -> HttpResponse:
    """A page in the cashier's look that says what is wrong and what to do."""
    context = {"words": words, "again_url": again_url, "icon": icon}
    return show_page(request, "cashier/problem.html", context, status=status)


def show_page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Render in the frame of every page."""
    return private(render(request, template, context | frame_context(request), status=status))


def in_wallet(request: HttpRequest, *, channel: str) -> bool:
    """Whether this is the browser of the app that pays by `channel`."""
    return CHANNELS[channel].wallet.agent in request.headers.get("User-Agent", "")
