"""What OpenAPI says about refusals: made from the refusals themselves, so that it cannot say otherwise."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from openplatform import problems as refused
from openplatform.problems import Problem

MEDIA_TYPE = refused.CONTENT_TYPE
EXAMPLE_REQUEST_ID = "5f2c3a9b8d7e6f5a4b3c2d1e"

# The refusals that any operation may answer with this status; an operation adds its own.
COMMON: tuple[Problem, ...] = (
    refused.ParamError(errors=[{"field": "amount", "reason": "AMOUNT_HAS_PART_OF_FEN"}]),
    refused.InvalidRequest(
        "An object holds the same key twice.", errors=[{"field": "body", "reason": "DUPLICATE_KEY"}]
    ),
    refused.SignError(),
    refused.ReplayedNonce(),
    refused.AppDisabled(),
    refused.NoAuth(),
    refused.IpNotAllowed(),
    refused.Blacklisted(),
    refused.NotFound(),
    refused.MethodNotAllowed(),
    refused.IdempotencyInProgress(retry_after_s=1),
    refused.LengthRequired(),
    refused.BodyTooLarge(),
    refused.UnsupportedMedia(),
    refused.IdempotencyMismatch(),
    refused.RateLimited(retry_after_s=1),
    refused.SystemProblem(),
    refused.TryLater(),
)


class ProblemErrorSerializer(serializers.Serializer[dict[str, str]]):
    field = serializers.CharField(help_text="`payer.openid` for a nested field, `body` for the whole")
    reason = serializers.CharField()


class ProblemSerializer(serializers.Serializer[dict[str, object]]):
    """RFC 9457, with `code` and `message` as WeChat Pay's clients expect them."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="For your log; it may change.")
    code = serializers.CharField(help_text="Never changes; decide by this.")
    message = serializers.CharField(help_text="The same as `detail`.")
    request_id = serializers.CharField(help_text="Name it when you ask us.")
    errors = ProblemErrorSerializer(many=True)  # type: ignore[assignment]


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", {"type": "string", "pattern": "^[A-Za-z0-9_-]{16,64}$"}, OpenApiParameter.HEADER,
    description="Optional, and the same for each attempt of one write. The same request under the same key gets the"
    " answer of the first, with `Idempotent-Replayed: true`, for seven days, if that was 2xx and not 202. After a"
    " refusal it is judged anew. Sign each attempt anew.",
)  # fmt: skip


def problems(*statuses: int, also: Sequence[Problem] = ()) -> dict[tuple[int, str], OpenApiResponse]:
    """The refusals with these statuses, for `extend_schema(responses={200: ..., **problems(404)})`; `also` are the
    operation's own, which stand beside the common ones of their status.
    """
    own = {problem.status for problem in also}
    described = {}
    for status in (*statuses, *sorted(own - set(statuses))):
        each = [problem for problem in (*COMMON, *also) if problem.status == status]
        codes = ", ".join(problem.code for problem in each)
        described[status, MEDIA_TYPE] = OpenApiResponse(
            ProblemSerializer, description=f"{HTTPStatus(status).phrase}: {codes}",
            examples=[_example(problem) for problem in each],
        )  # fmt: skip
    return described


def answer(shape: Any, description: str, **examples: Any) -> OpenApiResponse:
    """An answer with one example or more, named by their keywords."""
    shown = [OpenApiExample(name.replace("_", " "), value=value) for name, value in examples.items()]
    return OpenApiResponse(shape, description=description, examples=shown)


def _example(problem: Problem) -> OpenApiExample:
    return OpenApiExample(problem.code, value=problem.document() | {"request_id": EXAMPLE_REQUEST_ID})
