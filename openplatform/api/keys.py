"""The door to an app's own keys. Everything here needs a key with keys:manage."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from openplatform import app_keys
from openplatform.api import key_documents
from openplatform.api.base import OpenApiView
from openplatform.api.key_serializers import OfferSerializer, ProofSerializer, RetireSerializer, RevokeSerializer
from openplatform.api.serializers import moment
from openplatform.key_material import KeyRefused, Purpose
from openplatform.key_states import Actor, ActorKind, LastManager, MoveRefused, ScopesExceeded
from openplatform.models import AppKey, KeyChallenge
from openplatform.problems import NotFound, Problem, SignError, translate
from openplatform.scopes import Scope
from openplatform.serializers import StrictSerializer

_STATUSES: dict[type[KeyRefused], int] = {ScopesExceeded: 403, MoveRefused: 409, LastManager: 409}


@translate(KeyRefused)
def _refused(error: KeyRefused) -> Problem:
    return Problem(str(error), status=_STATUSES.get(type(error), 422), code=error.code)


@translate(app_keys.AppKeyNotFound)
def _not_found(_error: app_keys.AppKeyNotFound) -> Problem:
    return NotFound()


@translate(app_keys.ActorOver)
def _over(_error: app_keys.ActorOver) -> Problem:
    return SignError()


class _KeyView(OpenApiView):
    """A view of the app's own keys; it knows who acts."""

    @property
    def actor(self) -> Actor:
        return Actor(ActorKind.KEY, self.caller.serial_no)

    def act(self, request: Request, serializer_class: type[StrictSerializer], **context: Any) -> dict[str, Any]:
        """The arguments that every deed takes, and what the body says."""
        serializer = serializer_class(data=request.data)
        serializer.is_valid(raise_exception=True)
        return {
            "app_id": self.caller.app_id,
            "by": self.actor,
            "now": timezone.now(),
            **context,
            **serializer.validated_data,
        }


class KeysView(_KeyView):
    """The app's keys, and how a new one is registered."""

    scopes = {"GET": Scope.KEYS_MANAGE, "POST": Scope.KEYS_MANAGE}

    @key_documents.list_keys
    def get(self, _request: Request) -> Response:
        keys = [_present(key) for key in app_keys.own_keys(app_id=self.caller.app_id)]
        return Response({"app_id": str(self.caller.app_id), "keys": keys})

    @key_documents.register_key
    def post(self, request: Request) -> Response:
        serializer = OfferSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        key, challenge = app_keys.offer_key(
            app_id=self.caller.app_id, offer=serializer.offer(), by=self.actor, now=timezone.now(),
            at_most=self.caller.scopes,
        )  # fmt: skip
        return Response(_present(key, challenge), status=201)


class ProveKeyView(_KeyView):
    """Answer the challenge; the key counts from then on, within five seconds everywhere."""

    scopes = {"POST": Scope.KEYS_MANAGE}

    @key_documents.prove_key
    def post(self, request: Request, serial_no: str) -> Response:
        return Response(_present(app_keys.prove_key(**self.act(request, ProofSerializer, serial_no=serial_no))))


class RetireKeyView(_KeyView):
    """Let a key run out: the overlap in which the next one takes over."""

    scopes = {"POST": Scope.KEYS_MANAGE}

    @key_documents.retire_key
    def post(self, request: Request, serial_no: str) -> Response:
        return Response(_present(app_keys.retire_key(**self.act(request, RetireSerializer, serial_no=serial_no))))


class RevokeKeyView(_KeyView):
    """End a key for good."""

    scopes = {"POST": Scope.KEYS_MANAGE}

    @key_documents.revoke_key
    def post(self, request: Request, serial_no: str) -> Response:
        return Response(_present(app_keys.revoke_key(**self.act(request, RevokeSerializer, serial_no=serial_no))))


def _present(key: AppKey, challenge: KeyChallenge | None = None) -> dict[str, Any]:
    moments: dict[str, datetime | None] = {
        "not_before": key.not_before, "not_after": key.not_after, "last_used_at": key.last_used_at,
        "created_at": key.created_at, "revoked_at": key.revoked_at,
    }  # fmt: skip
    return {
        "app_id": str(key.app_id),
        "serial_no": key.serial_no,
        "purpose": key.purpose,
        "algorithm": key.algorithm,
        "fingerprint": key.fingerprint,
        "scopes": key.scopes,
        "status": key.status,
        **{name: moment(at) for name, at in moments.items()},
        "challenge": _present_challenge(key, challenge) if challenge else None,
    }


def _present_challenge(key: AppKey, challenge: KeyChallenge) -> dict[str, Any]:
    how = "decrypt" if key.purpose == Purpose.ENCRYPT else "sign"
    return {"how": how, "text": challenge.text, "expires_at": moment(challenge.expires_at)}
