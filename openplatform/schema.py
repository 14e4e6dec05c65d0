"""OpenAPI: which addresses are described, the signature as the security scheme, and what every operation may answer."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from openplatform.documents import IDEMPOTENCY_KEY, problems
from openplatform.target import SANDBOX_PREFIX

# What the gate itself answers, whatever the operation is.
COMMON_STATUSES_READ = (400, 401, 403, 405, 429, 500, 503)
COMMON_STATUSES_WRITE = (400, 401, 403, 405, 409, 411, 413, 415, 422, 429, 500, 503)

DESCRIPTION = """\
Orders, refunds and what became of them. JSON in UTF-8 over HTTPS; every request is signed, every answer to a known app
is signed.

* **Money**: yuan as text or as a JSON number (`"40.30"`, `40.3`), read from its literal text; answers carry both
  `amount` and the integer `amount_fen`.
* **202 is not an error**: it is written down, and the channel has not answered yet. Ask again after `next_check_at`, or
  wait for the notification.
* **Repeat without fear**: one `out_trade_no` is one order, one `out_refund_no` is one refund. Sign each attempt anew.
* **Refusals** are `application/problem+json`. Decide by `code`; docs/error-codes.md says for each whether the same
  request may succeed later.
* **Names that are not described here are refused**, in the query and in the body.
* **On a test platform** the same operations answer under `/sandbox/openapi/v1/` too. The path is signed, so what was
  signed for a test counts nowhere else.
"""

SIGNATURE_DESCRIPTION = """\
`FENPAY-SHA256-RSA2048 mchid="<app id>",nonce_str="<16 to 64 characters>",timestamp="<seconds>",serial_no="<your key>",
signature="<base64>"` in one line: these five parameters, each once, in any order, without spaces. The nonce is made of
letters, digits, `_` and `-`. The signature is RSASSA-PKCS1-v1_5 with SHA-256 over five lines, each ended by LF:

    METHOD
    TARGET      (path and query exactly as on the request line)
    TIMESTAMP   (at most 300 seconds from our clock)
    NONCE       (never the same twice for one key)
    BODY        (the raw bytes; empty for GET)

A key that is Ed25519 signs the same lines under the name `FENPAY-ED25519`, without hashing them first. The kind of your
key decides; neither name works with the other kind.

Answers carry `Fenpay-Timestamp`, `Fenpay-Nonce`, `Fenpay-Serial`, `Fenpay-Signature`, `Fenpay-Signature-Type`, signed
by the platform key that `Fenpay-Serial` names over three lines: TIMESTAMP, NONCE, BODY. The nonce of an answer is the
nonce of its request: compare it. A request may name the platform key that it knows in its own `Fenpay-Serial` header.
Verify before you believe an answer. docs/vectors.json has vectors to test a client against.
"""

PLATFORM_SERIAL = {
    "name": "Fenpay-Serial", "in": "header", "required": False, "schema": {"type": "string"},
    "description": "The platform key that you know; while it is live, it signs the answer.",
}  # fmt: skip
_SIGNATURE_HEADERS = {
    "Fenpay-Timestamp": "seconds since the epoch",
    "Fenpay-Nonce": "the request's own nonce",
    "Fenpay-Serial": "of the platform key that signed",
    "Fenpay-Signature": "base64, over timestamp, nonce and body",
    "Fenpay-Signature-Type": "FENPAY-SHA256-RSA2048",
}
_LIMIT_HEADERS = {
    "RateLimit-Policy": 'the limits that this request met: `"orders.create-60s";q=600;w=60` is 600 in 60 seconds',
    "RateLimit": 'how you stand with each: `"orders.create-60s";r=598;t=61` is 598 left, and all 600 in 61 seconds',
}
_RETRY_AFTER = "in how many seconds the same request, signed anew, may succeed; at least 1"
_BY_STATUS = {
    "401": ("WWW-Authenticate", "the scheme", True),
    "405": ("Allow", "the methods that the address knows", True),
    "409": ("Retry-After", _RETRY_AFTER, False),
    "429": ("Retry-After", _RETRY_AFTER, True),
    "503": ("Retry-After", _RETRY_AFTER, True),
}

Endpoint = tuple[str, str, str, Callable[..., Any]]


def only_open_api(endpoints: list[Endpoint]) -> list[Endpoint]:
    """A preprocessing hook: the console's and the cashier's addresses are nobody's interface."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/openapi/v1")]


def introduce(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """A postprocessing hook: what somebody must know who reads only this document, and where the API is."""
    result["info"]["description"] = DESCRIPTION
    result["servers"] = [{"url": settings.PUBLIC_BASE_URL}]
    if settings.TEST_PLATFORM:
        sandbox = f"{settings.PUBLIC_BASE_URL}{SANDBOX_PREFIX}"
        result["servers"].append({"url": sandbox, "description": "what is signed for it counts nowhere else"})
    return result


class OpenApiSchema(AutoSchema):
    """Adds to each operation what the gate does for all: refusals, headers, and that unknown fields are refused."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is not None:
            operation.setdefault("parameters", []).append(PLATFORM_SERIAL)
            for status, response in operation["responses"].items():
                response["headers"] = response.get("headers", {}) | _headers(status)
        return operation

    def get_override_parameters(self) -> list[Any]:
        """What every write understands, whatever the operation is."""
        parameters: list[Any] = super().get_override_parameters()
        return parameters if self.method == "GET" else [*parameters, IDEMPOTENCY_KEY]

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        common = COMMON_STATUSES_READ if self.method == "GET" else COMMON_STATUSES_WRITE
        for (status, media_type), response in problems(*common).items():
            if str(status) not in responses:
                responses[str(status)] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    response, str(status), [media_type], direction
                )
        return dict(sorted(responses.items()))

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        return schema | {"additionalProperties": False} if direction == "request" else schema


def _headers(status: str) -> dict[str, Any]:
    """Headers of an answer with this status. A refusal is signed as soon as the app is known, so not always."""
    is_signed = status.startswith("2")
    headers = {"X-Request-Id": _header("of this request; name it when you ask us", required=True)}
    headers |= {name: _header(text, required=is_signed) for name, text in _SIGNATURE_HEADERS.items()}
    headers |= {name: _header(text, required=False) for name, text in _LIMIT_HEADERS.items()}
    if status in _BY_STATUS:
        name, text, required = _BY_STATUS[status]
        headers[name] = _header(text, required=required)
    return headers


def _header(description: str, *, required: bool) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": "string"}}


class SignatureScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The Authorization header, described."""

    target_class = "openplatform.api.base.SignatureAuthentication"
    name = "signature"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:  # noqa: ARG002
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": SIGNATURE_DESCRIPTION}
