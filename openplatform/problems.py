"""Every refusal of the open API: application/problem+json (RFC 9457) with a `code` that never changes.

A domain names its own errors and registers how they look from outside with `translate`. What nobody named is a bug:
it is logged once, and the caller gets SYSTEM_ERROR and the request id, never a stack.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from django.core import exceptions as django_errors
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from django.http.request import UnreadablePostError
from django.utils.log import log_response
from rest_framework import exceptions as drf_errors
from rest_framework.response import Response

from idgen import IdgenUnavailable
from openplatform.context import current_request_id

CONTENT_TYPE = "application/problem+json"
FIELD_LENGTH_MAX = 100  # names of unknown fields are the caller's text: they come back, but not at any length
ERRORS_MAX = 50

logger = logging.getLogger(__name__)


class Problem(Exception):
    """A refusal as the caller sees it. `errors` is a list of {"field", "reason"}; `extra` adds members."""

    status: int = 500
    code: str = "SYSTEM_ERROR"
    default_detail: ClassVar[str] = (
        "Something went wrong on our side. The state is unknown: query before you try again."
    )

    def __init__(
        self,
        detail: str = "",
        *,
        status: int | None = None,
        code: str | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        retry_after_s: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.status = status or self.status
        self.code = code or self.code
        self.detail = detail or self.default_detail
        self.errors = [dict(error) for error in errors][:ERRORS_MAX]
        self.retry_after_s = retry_after_s
        self.extra = dict(extra or {})
        self.headers: dict[str, str] = {"Retry-After": str(retry_after_s)} if retry_after_s else {}
        super().__init__(self.detail)

    def document(self) -> dict[str, Any]:
        """The JSON body. `message` repeats `detail` for clients that know WeChat Pay's error bodies."""
        return {
            "type": f"urn:fenpay:problem:{self.code.lower().replace('_', '-')}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "message": self.detail,
            "request_id": current_request_id(),
            "errors": self.errors,
            **self.extra,
        }


class SystemProblem(Problem):
    """A bug, or something of ours that is not set up."""


class ParamError(Problem):
    status, code, default_detail = 400, "PARAM_ERROR", "Some fields are not right; see errors."


class InvalidRequest(Problem):
    status, code, default_detail = 400, "INVALID_REQUEST", "The request is not well formed."


class CursorUnknown(Problem):
    status, code = 400, "CURSOR_UNKNOWN"
    default_detail = "This cursor was not given to this app for this filter. Send the whole request as it was, with it."


class _Unauthorized(Problem):
    status = 401

    def __init__(self, detail: str = "", **kwargs: Any) -> None:
        super().__init__(detail, **kwargs)
        self.headers["WWW-Authenticate"] = "FENPAY-SHA256-RSA2048, FENPAY-ED25519"


class SignError(_Unauthorized):
    """One text for an unknown app, an unknown key and a wrong signature: whoever guesses learns nothing."""

    code = "SIGN_ERROR"
    default_detail = "The app, the key or the signature is not right."


class ReplayedNonce(_Unauthorized):
    code, default_detail = "REPLAYED_NONCE", "This nonce was used before. Sign again with a new one."


class NoAuth(Problem):
    status, code, default_detail = 403, "NO_AUTH", "This key may not do that."


class AppDisabled(Problem):
    status, code, default_detail = 403, "APP_DISABLED", "The app or its merchant is disabled."


class IpNotAllowed(Problem):
    status, code, default_detail = 403, "IP_NOT_ALLOWED", "The app does not call from this address."


class Blacklisted(Problem):
    """One text whoever or whatever is blocked: it never says which."""

    status, code, default_detail = 403, "BLACKLISTED", "This request is refused."


class NotFound(Problem):
    status, code, default_detail = 404, "NOT_FOUND", "There is no such thing, or it belongs to another app."


class MethodNotAllowed(Problem):
    status, code, default_detail = 405, "METHOD_NOT_ALLOWED", "This address does not know that method."

    def __init__(self, detail: str = "", *, allowed: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(detail, **kwargs)
        self.headers["Allow"] = ", ".join(allowed)


class InvalidState(Problem):
    status, code, default_detail = 409, "INVALID_STATE", "That is no longer possible in the present state."


class IdempotencyInProgress(Problem):
    status, code, default_detail = 409, "IDEMPOTENCY_IN_PROGRESS", "The same request is being worked on."


class LengthRequired(Problem):
    status, code, default_detail = 411, "LENGTH_REQUIRED", "Send Content-Length, not Transfer-Encoding."


class BodyTooLarge(Problem):
    status, code, default_detail = 413, "BODY_TOO_LARGE", "The body is too large."


class UnsupportedMedia(Problem):
    status, code, default_detail = 415, "UNSUPPORTED_MEDIA", "Send application/json in UTF-8, not encoded otherwise."


class IdempotencyMismatch(Problem):
    status, code, default_detail = 422, "IDEMPOTENCY_MISMATCH", "The same key was used for another request."


class RateLimited(Problem):
    status, code, default_detail = 429, "RATE_LIMITED", "Too many requests."


class TryLater(Problem):
    """The same request, newly signed, may succeed, and counts once if this one was carried out after all."""

    status, code, default_detail = 503, "TRY_LATER", "Not now. Send the same request again soon, newly signed."

    def __init__(self, detail: str = "", *, retry_after_s: int = 1, **kwargs: Any) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, **kwargs)


Translator = Callable[[Any], Problem]
_T = TypeVar("_T", bound=Translator)
_translators: dict[type[BaseException], Translator] = {}


def translate(*error_types: type[BaseException]) -> Callable[[_T], _T]:
    """Register how errors of these classes, and of their subclasses, look from outside."""

    def register(translator: _T) -> _T:
        _translators.update(dict.fromkeys(error_types, translator))
        return translator

    return register


def problem_of(error: BaseException) -> Problem | None:
    """`error` as a problem, or None when nobody named it: a bug."""
    if isinstance(error, Problem):
        return error
    for error_type in type(error).__mro__:
        if translator := _translators.get(error_type):
            return translator(error)
    return None


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """The framework's hook: whatever a view raised, as an answer. What is unknown is logged here, once."""
    problem = problem_of(error)
    answer = problem or SystemProblem()
    response = Response(answer.document(), status=answer.status, headers=answer.headers, content_type=CONTENT_TYPE)
    request = context["request"]
    if problem is None:
        log_response("%s", answer.code, response=response, request=request, logger=logger, exception=error)
    elif answer.status == 503:
        reason = type(error.__cause__ or error).__name__
        log_response("%s: %s", answer.code, reason, response=response, request=request, logger=logger, level="warning")
    return response


def plain_answer(problem: Problem) -> HttpResponse:
    """The same body where no view of ours runs."""
    body = json.dumps(problem.document(), ensure_ascii=False)
    headers = problem.headers | {"Cache-Control": "no-store"}
    return HttpResponse(body, status=problem.status, headers=headers, content_type=CONTENT_TYPE)


@translate(drf_errors.ValidationError)
def _validation(error: drf_errors.ValidationError) -> Problem:
    return ParamError(errors=_flat(error.detail))


def _flat(detail: Any, field: str = "") -> list[dict[str, str]]:
    """The framework's nested errors as one list; a nested field is named `payer.openid`, an item `items.0`."""
    if isinstance(detail, Mapping):
        steps = [
            ("" if key == "non_field_errors" else str(key)[:FIELD_LENGTH_MAX], value) for key, value in detail.items()
        ]
    elif isinstance(detail, list) and any(isinstance(item, Mapping | list) for item in detail):
        steps = [(str(index), item) for index, item in enumerate(detail)]
    else:
        reasons = detail if isinstance(detail, list) else [detail]
        return [{"field": field, "reason": str(reason)} for reason in reasons]
    return [error for key, value in steps for error in _flat(value, ".".join(filter(None, (field, key))))]


@translate(drf_errors.MethodNotAllowed)
def _method(_error: drf_errors.MethodNotAllowed) -> Problem:
    return MethodNotAllowed()


@translate(drf_errors.UnsupportedMediaType)
def _media(_error: drf_errors.UnsupportedMediaType) -> Problem:
    return UnsupportedMedia()


@translate(drf_errors.NotFound, Http404)
def _not_found(_error: Exception) -> Problem:
    return NotFound()


@translate(drf_errors.PermissionDenied, django_errors.PermissionDenied)
def _forbidden(_error: Exception) -> Problem:
    return NoAuth()


@translate(drf_errors.NotAuthenticated, drf_errors.AuthenticationFailed)
def _unauthorized(_error: Exception) -> Problem:
    return SignError()


@translate(django_errors.RequestDataTooBig)
def _too_big(_error: Exception) -> Problem:
    return BodyTooLarge()


@translate(drf_errors.ParseError, drf_errors.NotAcceptable, django_errors.SuspiciousOperation, UnreadablePostError)
def _malformed(_error: Exception) -> Problem:
    return InvalidRequest()


@translate(OperationalError, InterfaceError)
def _database(_error: Exception) -> Problem:
    """Down, restarting, a lock or a statement that took too long: what was not committed is rolled back."""
    return TryLater()


@translate(IdgenUnavailable)
def _no_ids(error: IdgenUnavailable) -> Problem:
    return TryLater(retry_after_s=error.retry_after_s)
