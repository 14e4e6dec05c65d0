"""Each request gets an id that our answers and log lines carry."""

import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from openplatform.context import set_request_id


class RequestIdMiddleware:
    """The id is always ours: one chosen by the caller could be used to confuse whoever reads the logs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = secrets.token_hex(12)
        set_request_id(request_id)
        response = self.get_response(request)
        response.headers["X-Request-Id"] = request_id
        return response
