"""OpenAPI: which addresses are described, the signature as the security scheme, and what every operation may answer."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from openplatform.documents import problems

# What the gate itself answers, whatever the operation is.
COMMON_STATUSES_READ = (400, 401, 403, 405, 500, 503)
COMMON_STATUSES_WRITE = (400, 401, 403, 405, 411, 413, 415, 500, 503)

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
by the platform key that `Fenpay-Serial` names over three lines: TIMESTAMP, NONCE, BODY. A request may name the platform
key that it knows in its own `Fenpay-Serial` header. Verify before you believe an answer.
"""

Endpoint = tuple[str, str, str, Callable[..., Any]]


def only_open_api(endpoints: list[Endpoint]) -> list[Endpoint]:
    """A preprocessing hook: the console's and the cashier's addresses are nobody's interface."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/openapi/v1")]


class OpenApiSchema(AutoSchema):
    """Adds the refusals that the gate may answer to each operation."""

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        common = COMMON_STATUSES_READ if self.method == "GET" else COMMON_STATUSES_WRITE
        for (status, media_type), response in problems(*common).items():
            if str(status) not in responses:
                responses[str(status)] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    response, str(status), [media_type], direction
                )
        return responses


class SignatureScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The Authorization header, described."""

    target_class = "openplatform.api.base.SignatureAuthentication"
    name = "signature"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:  # noqa: ARG002
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": SIGNATURE_DESCRIPTION}
