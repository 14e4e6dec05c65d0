"""What OpenAPI says about refusals."""

from http import HTTPStatus

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

MEDIA_TYPE = "application/problem+json"

_CODES = {
    400: "PARAM_ERROR, INVALID_REQUEST",
    401: "SIGN_ERROR, REPLAYED_NONCE",
    403: "APP_DISABLED, NO_AUTH, KEY_SCOPES_EXCEEDED",
    404: "NOT_FOUND (also when it belongs to another app)",
    405: "METHOD_NOT_ALLOWED",
    409: "INVALID_STATE, KEY_STATE, KEY_LAST_MANAGER",
    411: "LENGTH_REQUIRED",
    413: "BODY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA",
    422: "the same number was used for something else, the channel refused, or a key or its proof is not taken",
    500: "SYSTEM_ERROR: the state is unknown; query, do not create again",
    503: "TRY_LATER: nothing was changed; sign again and retry after Retry-After",
}


class ProblemErrorSerializer(serializers.Serializer[dict[str, str]]):
    field = serializers.CharField()
    reason = serializers.CharField()


class ProblemSerializer(serializers.Serializer[dict[str, object]]):
    """RFC 9457, with `code` and `message` as WeChat Pay's clients expect them."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField(help_text="Never changes; decide by this.")
    message = serializers.CharField()
    request_id = serializers.CharField(help_text="Name it when you ask us.")
    errors = ProblemErrorSerializer(many=True)  # type: ignore[assignment]


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """The refusals with these statuses, for `extend_schema(responses={200: ..., **problems(404)})`."""
    return {
        (status, MEDIA_TYPE): OpenApiResponse(
            ProblemSerializer, description=f"{HTTPStatus(status).phrase}: {_CODES[status]}"
        )
        for status in statuses
    }
