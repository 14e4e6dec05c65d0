"""The doors that are not about money: our keys, what we owe you, the description of it all, and everything else."""

import json
from functools import cache

from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from openplatform.api import documents
from openplatform.api.base import OpenApiView
from openplatform.api.serializers import (
    NotificationQuerySerializer,
    ReplaySerializer,
    present_attempt,
    present_notification,
    present_platform_key,
    present_replayed,
)
from openplatform.keys import live_platform_keys
from openplatform.notifications import cursors
from openplatform.notifications.queries import NotificationNotFound, own_notification, own_notifications
from openplatform.notifications.replay import replay_matching, replay_one
from openplatform.problems import CursorUnknown, MethodNotAllowed, NotFound, Problem, plain_answer, translate
from openplatform.scopes import ANY_KEY, Scope
from openplatform.serializers import NoFields


@translate(NotificationNotFound)
def _not_found(_error: NotificationNotFound) -> Problem:
    return NotFound()


@translate(cursors.CursorUnknown)
def _cursor_unknown(_error: cursors.CursorUnknown) -> Problem:
    return CursorUnknown()


class PlatformKeysView(OpenApiView):
    """Our public keys, for signatures and for encryption: the current one of each algorithm, the next one before it is,
    and the last one while it still counts.
    """

    scopes = {"GET": ANY_KEY}

    @documents.list_platform_keys
    def get(self, _request: Request) -> Response:
        keys = [present_platform_key(key) for key in live_platform_keys(now=timezone.now())]
        return Response({"app_id": str(self.caller.app_id), "platform_keys": keys})


class NotificationsView(OpenApiView):
    """What we told you, or still owe you, the newest first."""

    scopes = {"GET": Scope.QUERIES_READ}
    query_names = frozenset({"cursor", "limit", "status", "event_type", "object_no"})

    @documents.list_notifications
    def get(self, request: Request) -> Response:
        query = NotificationQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        wanted = query.wanted()
        page = own_notifications(app_id=self.caller.app_id, **wanted)
        return Response(
            {
                "app_id": str(self.caller.app_id),
                "notifications": [present_notification(notification) for notification in page],
                "next_cursor": str(page[-1].pk) if len(page) == wanted["limit"] else None,
            }
        )


class NotificationView(OpenApiView):
    """One notification, with its attempts."""

    scopes = {"GET": Scope.QUERIES_READ}

    @documents.get_notification
    def get(self, _request: Request, event_id: int) -> Response:
        notification, attempts = own_notification(app_id=self.caller.app_id, notification_id=event_id)
        shown = present_notification(notification)
        return Response(shown | {"attempts": [present_attempt(attempt) for attempt in attempts]})


class ReplayNotificationView(OpenApiView):
    """Send it again, from the beginning of the schedule, under the same event id.

    Who may read it may be told it again: nothing of an order or a refund changes.
    """

    scopes = {"POST": Scope.QUERIES_READ}

    @documents.replay_notification
    def post(self, request: Request, event_id: int) -> Response:
        NoFields(data=request.data).is_valid(raise_exception=True)
        notification = replay_one(app_id=self.caller.app_id, notification_id=event_id, now=timezone.now())
        return Response(present_notification(notification), status=202)


class ReplayNotificationsView(OpenApiView):
    """Send again all that match, up to 1000 at once, the oldest first. They go out a few at a time.

    The same request with `next_cursor` as its `cursor` goes on with the rest, until that is null: each is sent again
    once, however many there are. After an answer that never came the same request is sent once more.
    """

    scopes = {"POST": Scope.QUERIES_READ}

    @documents.replay_notifications
    def post(self, request: Request) -> Response:
        wish = ReplaySerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        app_id = self.caller.app_id
        replayed = replay_matching(**wish.wanted(app_id=app_id), now=timezone.now())
        return Response({"app_id": str(app_id), **present_replayed(replayed)}, status=202)


def schema_view(request: HttpRequest) -> HttpResponse:
    """OpenAPI 3.1 as JSON, for everybody; it is the same until the next release."""
    if request.method != "GET":
        return plain_answer(MethodNotAllowed(allowed=["GET"]))
    answer = HttpResponse(_schema(), content_type="application/vnd.oai.openapi+json")
    answer.headers["Cache-Control"] = "public, max-age=300"
    return answer


@cache
def _schema() -> bytes:
    with translation.override("en"):
        document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    # Through the renderer, whose encoder knows lazy texts, and back, for a form that does not change between runs.
    return json.dumps(json.loads(OpenApiJsonRenderer().render(document)), ensure_ascii=False, indent=1).encode()
