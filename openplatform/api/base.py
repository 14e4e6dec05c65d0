"""The view that every operation of the open API extends: checked in, strict JSON, problems, signed answers."""

import json
import time
from collections.abc import Iterable
from typing import Any, ClassVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone, translation
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from openplatform import idempotency, keyring, strictjson
from openplatform.api.checks import CHECKS, NATIVE_DIALECT, Caller, Check, Dialect, Exchange, count_against_address
from openplatform.context import current_request_id
from openplatform.limits import routes
from openplatform.models import IdempotencyRecord
from openplatform.problems import (
    IdempotencyInProgress,
    IdempotencyMismatch,
    InvalidRequest,
    Problem,
    SignError,
    problem_of,
    translate,
)
from openplatform.schema import OpenApiSchema
from openplatform.scopes import Needs
from openplatform.signature import SCHEMES, answer_message


class StrictJsonParser(BaseParser):
    """The bytes that were signed, as an object; numbers stay text (strictjson.JsonNumber)."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:  # noqa: ARG002
        try:
            return strictjson.loads(stream.read())
        except strictjson.JsonRefused as error:
            raise InvalidRequest(str(error), errors=[{"field": "body", "reason": error.reason}]) from error


class OnlyJson(BaseContentNegotiation):
    """There is one form of answer; the Accept header is not asked."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:  # noqa: ARG002
        return next(iter(parsers))

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,  # noqa: ARG002
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class Replayed(Exception):
    """The request was carried out before, under the same Idempotency-Key; `answer` is what was answered then."""

    def __init__(self, answer: idempotency.Answer) -> None:
        super().__init__()
        self.answer = answer


@translate(idempotency.IdempotencyKeyMalformed, idempotency.KeyOfAnotherRequest, idempotency.StillInFlight)
def _key_refused(error: Exception) -> Problem:
    match error:
        case idempotency.KeyOfAnotherRequest():
            return IdempotencyMismatch()
        case idempotency.StillInFlight():
            return IdempotencyInProgress(retry_after_s=1)
    return InvalidRequest(f"{error.__doc__}")


class SignatureAuthentication(BaseAuthentication):
    """Hands the framework what the checks have proven; it proves nothing itself."""

    def authenticate(self, request: Request) -> tuple[None, Caller]:
        view: OpenApiView = request.parser_context["view"]
        return None, view.caller


class OpenApiView(APIView):
    """A subclass implements `get` or `post`, names the scope that each needs and the query parameters that it knows,
    and finds the `Caller` as `request.auth` and the body, or {} without one, as `request.data`. What it answers is
    signed, refusals too.

    `limit_route` is what rate rules call the operation; without one it is "read" or "write".
    """

    authentication_classes = [SignatureAuthentication]
    permission_classes = []
    parser_classes = [StrictJsonParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = OnlyJson
    http_method_names = ["get", "post", "put", "patch", "delete"]
    schema = OpenApiSchema()

    scopes: ClassVar[Needs] = {}
    query_names: ClassVar[frozenset[str]] = frozenset()
    limit_route: ClassVar[str] = ""
    checks: ClassVar[tuple[Check, ...]] = CHECKS
    dialect: ClassVar[Dialect] = NATIVE_DIALECT
    exchange: Exchange
    record: IdempotencyRecord | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.limit_route:
            routes.operations.add(cls.limit_route)

    @property
    def caller(self) -> Caller:
        """Who is calling; there for every handler, for none is reached unproven."""
        if self.exchange.caller is None:
            raise SignError
        return self.exchange.caller

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """In English: these texts are for a machine's log, whatever a browser on the way may have asked for."""
        with translation.override("en"):
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *_args: Any, **_kwargs: Any) -> None:
        """Everything between the request line and the handler, in the order of `checks`."""
        self.format_kwarg = None
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        self.exchange = Exchange(
            request=request._request,  # noqa: SLF001 - the raw bytes and the raw target are below the framework
            methods=frozenset(self.allowed_methods),
            query_names=self.query_names,
            needs=self.scopes,
            now=timezone.now(),
            dialect=self.dialect,
            route=self.limit_route or (routes.READ if request.method == "GET" else routes.WRITE),
        )
        try:
            for check in self.checks:
                check(self.exchange)
        except Exception as error:
            count_against_address(self.exchange, problem_of(error))
            raise
        self.perform_authentication(request)
        _ = request.data  # parsed now, so that a bad body is refused before the handler does anything
        self._claim_key(request)

    def _claim_key(self, request: Request) -> None:
        """With an Idempotency-Key a write is carried out once. Raises Replayed with the answer that it had."""
        key = request.headers.get("Idempotency-Key")
        if key is None or self.exchange.is_read:
            return
        exchange = self.exchange
        asked = (exchange.request.method or "", exchange.target, exchange.body)
        found = idempotency.begin(app_id=self.caller.app_id, key=key, request=asked, now=exchange.now)
        if isinstance(found, idempotency.Answer):
            raise Replayed(found)
        self.record = found

    def handle_exception(self, exc: Exception) -> Response:
        if not isinstance(exc, Replayed):
            return super().handle_exception(exc)
        answer = exc.answer
        document = json.loads(answer.body) if answer.body else None
        headers = {"Idempotent-Replayed": "true"}
        return Response(document, status=answer.status, content_type=answer.content_type, headers=headers)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Request-Id"] = current_request_id()
        exchange: Exchange | None = getattr(self, "exchange", None)
        if exchange is not None:
            for name, value in exchange.verdict.headers().items():
                answer.headers[name] = value
        if exchange is not None and exchange.caller is not None:
            if answer.status_code < 400:
                keyring.remember_use(exchange.caller.serial_no, now=exchange.now)
            if self.record is not None:
                record = self.record
                answer.add_post_render_callback(lambda rendered: _keep(rendered, record))
            answer.add_post_render_callback(lambda rendered: _sign(rendered, exchange))
        return answer


def _keep(answer: Response, record: IdempotencyRecord) -> None:
    body = answer.content.decode()
    content_type = answer.headers.get("Content-Type", "")  # an answer without a body has none
    idempotency.end(record, idempotency.Answer(status=answer.status_code, content_type=content_type, body=body))


def _sign(answer: Response, exchange: Exchange) -> None:
    """Over the bytes that are sent: this runs after rendering, and nothing behind us changes a body."""
    if exchange.signer is None or exchange.caller is None:
        return
    # The request's own nonce: so an answer is proven to be the answer to this request, and to no other of the same app.
    timestamp, nonce = str(int(time.time())), exchange.authorization.nonce
    signature = exchange.signer.sign(answer_message(timestamp=timestamp, nonce=nonce, body=answer.content))
    for scheme, verifier in SCHEMES.items():
        if verifier.algorithm != exchange.signer.algorithm or (verifier.by_app_switch and not exchange.headers_doubled):
            continue
        values = {
            "Timestamp": timestamp,
            "Nonce": nonce,
            "Serial": exchange.signer.serial_no,
            "Signature": signature,
            "Signature-Type": scheme,
        }
        for name, value in values.items():
            answer.headers[f"{verifier.header_prefix}-{name}"] = value
