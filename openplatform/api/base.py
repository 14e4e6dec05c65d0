"""The view that every operation of the open API extends: checked in, strict JSON, problems, signed answers."""

import secrets
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

from openplatform import keyring, strictjson
from openplatform.api.checks import CHECKS, Caller, Check, Exchange
from openplatform.context import current_request_id
from openplatform.problems import InvalidRequest, SignError
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


class SignatureAuthentication(BaseAuthentication):
    """Hands the framework what the checks have proven; it proves nothing itself."""

    def authenticate(self, request: Request) -> tuple[None, Caller]:
        view: OpenApiView = request.parser_context["view"]
        return None, view.caller


class OpenApiView(APIView):
    """A subclass implements `get` or `post`, names the scope that each needs and the query parameters that it knows,
    and finds the `Caller` as `request.auth` and the body, or {} without one, as `request.data`. What it answers is
    signed, refusals too.
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
    checks: ClassVar[tuple[Check, ...]] = CHECKS
    exchange: Exchange

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
        )
        for check in self.checks:
            check(self.exchange)
        self.perform_authentication(request)
        _ = request.data  # parsed now, so that a bad body is refused before the handler does anything

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Request-Id"] = current_request_id()
        exchange: Exchange | None = getattr(self, "exchange", None)
        if exchange is not None and exchange.caller is not None:
            if answer.status_code < 400:
                keyring.remember_use(exchange.caller.serial_no, now=exchange.now)
            answer.add_post_render_callback(lambda rendered: _sign(rendered, exchange))
        return answer


def _sign(answer: Response, exchange: Exchange) -> None:
    """Over the bytes that are sent: this runs after rendering, and nothing behind us changes a body."""
    if exchange.signer is None or exchange.caller is None:
        return
    timestamp, nonce = str(int(time.time())), secrets.token_urlsafe(24)
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
