"""Answers for requests that no view took, or that broke one: a machine gets a problem, a person a page."""

import http
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from openplatform.context import current_request_id

API_PREFIXES = ("/openapi/", "/v3/", "/callbacks/")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return _answer(request, status=http.HTTPStatus.NOT_FOUND, code="NOT_FOUND")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001
    return _answer(request, status=http.HTTPStatus.BAD_REQUEST, code="INVALID_REQUEST")


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(request, status=http.HTTPStatus.INTERNAL_SERVER_ERROR, code="SYSTEM_ERROR")


def _answer(request: HttpRequest, *, status: http.HTTPStatus, code: str) -> HttpResponse:
    request_id = current_request_id()
    if not request.path_info.startswith(API_PREFIXES):
        context = {"status": status.value, "request_id": request_id}
        # Without the request: what broke it may well break again in a context processor.
        return HttpResponse(render_to_string("config/error.html", context), status=status)
    problem: dict[str, Any] = {
        "type": "about:blank", "title": status.phrase, "status": status.value, "detail": status.description,
        "code": code, "message": status.phrase, "request_id": request_id, "errors": [],
    }  # fmt: skip
    return JsonResponse(problem, status=status, content_type="application/problem+json")
