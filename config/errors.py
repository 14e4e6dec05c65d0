"""Answers for requests that no view took, or that broke one: a machine gets a problem, a person a page."""

import re

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.debug import SafeExceptionReporterFilter

from openplatform.context import current_request_id
from openplatform.problems import InvalidRequest, NotFound, Problem, SystemProblem, plain_answer


class ReporterFilter(SafeExceptionReporterFilter):
    """What Django shows of the settings when a request breaks: no address either, for many hold a password."""

    hidden_settings = re.compile(f"{SafeExceptionReporterFilter.hidden_settings.pattern}|_URL$", re.IGNORECASE)


API_PREFIXES = ("/openapi/", "/sandbox/openapi/", "/v3/", "/callbacks/")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return _answer(request, NotFound())


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001
    return _answer(request, InvalidRequest())


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(request, SystemProblem())


def _answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    if request.path_info.startswith(API_PREFIXES):
        return plain_answer(problem)
    context = {"status": problem.status, "request_id": current_request_id()}
    # Without the request: what broke it may well break again in a context processor.
    return HttpResponse(render_to_string("config/error.html", context), status=problem.status)
