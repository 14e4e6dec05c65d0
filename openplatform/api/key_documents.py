"""What OpenAPI says about an app's own keys. The examples are held to the shapes by a test."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema

from openplatform.api.documents import APP_ID, TAG_KEYS
from openplatform.api.key_serializers import (
    AppKeySerializer,
    AppKeysSerializer,
    OfferSerializer,
    ProofSerializer,
    RetireSerializer,
    RevokeSerializer,
)
from openplatform.documents import answer, problems

_SERIAL = "4A6F0C1D2E3B5A7988C7D6E5F4A3B2C1D0E9F8A7"
_PEM = (  # the example of RFC 8410, section 10.1
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
    "-----END PUBLIC KEY-----\n"
)
_SERIAL_NO = OpenApiParameter(
    "serial_no", {"type": "string", "pattern": "^[A-Za-z0-9_]{8,64}$"}, OpenApiParameter.PATH,
    description="of a key of your own app",
)  # fmt: skip
_REGISTERED: dict[str, Any] = {
    "app_id": APP_ID, "serial_no": _SERIAL, "purpose": "sign", "algorithm": "Ed25519",
    "fingerprint": "e6fe3b0bcf1b5d2a7c9e8d4f60517283940a1b2c3d4e5f60718293a4b5c6d7e8",
    "scopes": ["payments:write", "queries:read"], "status": "pending", "not_before": "2026-01-02T04:00:00Z",
    "not_after": None, "last_used_at": None, "created_at": "2026-01-02T04:00:00Z", "revoked_at": None,
    "challenge": {
        "how": "sign", "text": f"fenpay-key-proof:{APP_ID}:e6fe3b0b…:Zm9v…", "expires_at": "2026-01-02T04:10:00Z",
    },
}  # fmt: skip
_ACTIVE = _REGISTERED | {"status": "active", "challenge": None}
_RETIRING = _ACTIVE | {"not_after": "2026-01-09T04:00:00Z"}
_REVOKED = _ACTIVE | {"status": "revoked", "revoked_at": "2026-01-02T05:00:00Z"}


def _shown(name: str, value: dict[str, Any]) -> OpenApiExample:
    return OpenApiExample(name, value=value, request_only=True)


list_keys = extend_schema(
    tags=TAG_KEYS, operation_id="listKeys", summary="Your own keys",
    description="Every key of the app, with what it may do and when it was used last.",
    responses={200: answer(AppKeysSerializer, "The newest first.", one_key={"app_id": APP_ID, "keys": [_ACTIVE]})},
)  # fmt: skip
register_key = extend_schema(
    tags=TAG_KEYS, operation_id="registerKey", summary="Register a public key", request=OfferSerializer,
    description="It counts once the challenge in the answer is answered: whoever registers a key must hold it.",
    examples=[_shown("Ed25519", {"public_key_pem": _PEM, "scopes": ["payments:write", "queries:read"]})],
    responses={201: answer(AppKeySerializer, "It waits for its proof.", pending=_REGISTERED), **problems(403, 422)},
)  # fmt: skip
prove_key = extend_schema(
    tags=TAG_KEYS, operation_id="proveKey", summary="Prove that you hold a key", request=ProofSerializer,
    description="The key counts from then on, within five seconds everywhere.",
    parameters=[_SERIAL_NO], examples=[_shown("a signature", {"proof": "oR9d8Puh…"})],
    responses={200: answer(AppKeySerializer, "It counts.", active=_ACTIVE), **problems(404, 409, 422)},
)  # fmt: skip
retire_key = extend_schema(
    tags=TAG_KEYS, operation_id="retireKey", summary="Let a key run out", request=RetireSerializer,
    description="Both keys count meanwhile, so no request of yours is refused while you change over.",
    parameters=[_SERIAL_NO], examples=[_shown("in a week", {})],
    responses={200: answer(AppKeySerializer, "It runs out.", retiring=_RETIRING), **problems(404, 409, 422)},
)  # fmt: skip
revoke_key = extend_schema(
    tags=TAG_KEYS, operation_id="revokeKey", summary="End a key at once", request=RevokeSerializer,
    description="Refused everywhere within five seconds, and for good.",
    parameters=[_SERIAL_NO], examples=[_shown("now", {})],
    responses={200: answer(AppKeySerializer, "It has ended.", revoked=_REVOKED), **problems(404, 409)},
)  # fmt: skip
