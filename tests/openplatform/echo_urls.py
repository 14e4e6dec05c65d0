"""Addresses of tests: views that say what reached them, and views that break."""

import time

from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection, transaction
from django.http import Http404
from django.urls import include, path
from rest_framework import exceptions, serializers
from rest_framework.response import Response

from idgen import NoWorker
from openplatform.api import OpenApiView
from openplatform.models import App
from openplatform.problems import InvalidState, Problem
from openplatform.scopes import ANY_KEY, Scope
from openplatform.serializers import StrictSerializer

reached = []
counted = []


class Echo(OpenApiView):
    scopes = {"GET": ANY_KEY, "POST": ANY_KEY}
    query_names = frozenset({"limit", "cursor"})

    def get(self, request):
        reached.append("get")
        return Response({"app_id": str(request.auth.app_id), "scheme": request.auth.scheme})

    def post(self, request):
        reached.append("post")
        return Response({"app_id": str(request.auth.app_id), "got": request.data, "said": "成交"}, status=201)


class ItemSerializer(StrictSerializer):
    name = serializers.CharField(max_length=5)


class ThingSerializer(StrictSerializer):
    text = serializers.CharField()
    count = serializers.IntegerField(required=False)
    flag = serializers.BooleanField(required=False)
    item = ItemSerializer(required=False)
    items = ItemSerializer(many=True, required=False)


class Things(OpenApiView):
    scopes = {"POST": ANY_KEY}

    def post(self, request):
        things = ThingSerializer(data=request.data)
        things.is_valid(raise_exception=True)
        return Response({})


class Secret(Exception):
    """Its text must never be seen outside."""


class Breaks(OpenApiView):
    scopes = {"GET": ANY_KEY}

    def get(self, request, how):
        {"bug": self.bug, "database": self.database, "timeout": self.timeout, "ids": self.ids, "state": self.state,
         "missing": self.missing, "drf-missing": self.drf_missing, "forbidden": self.forbidden}[how]()  # fmt: skip

    def bug(self):
        raise Secret("the password is 12345")

    def database(self):
        raise OperationalError("could not connect to server at 10.0.0.5")

    def timeout(self):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 20; SELECT pg_sleep(5)")

    def ids(self):
        raise NoWorker

    def state(self):
        raise InvalidState(extra={"order_no": "17"})

    def missing(self):
        raise Http404

    def drf_missing(self):
        raise exceptions.NotFound

    def forbidden(self):
        raise PermissionDenied


class Counted(OpenApiView):
    """Counts what it carried out, and answers the status that it is asked for."""

    scopes = {"POST": ANY_KEY}
    query_names = frozenset({"limit"})

    def post(self, request):
        counted.append(request.auth.app_id)
        time.sleep(float(request.data.get("sleep_s", "0")))
        status = int(request.data["status"])
        if status >= 400:
            raise Problem(status=status, code="AS_ASKED")
        body = {"app_id": str(request.auth.app_id), "count": len(counted), "said": "成交"}
        return Response(None if status == 204 else body, status=status)


class Renames(OpenApiView):
    """Writes to the database, so that a refused request can be seen not to."""

    scopes = {"POST": ANY_KEY}

    def post(self, request):
        app = App.objects.get(pk=request.auth.app_id)
        app.name = f"renamed {time.monotonic_ns()}"
        app.save(update_fields=["name"])
        return Response({})


class Named(OpenApiView):
    """An operation with a name of its own."""

    scopes = {"POST": ANY_KEY}
    limit_route = "things.make"

    def post(self, request):
        return Response({})


class Guarded(OpenApiView):
    """Needs another scope for each method, and says nothing about one of them."""

    scopes = {"GET": Scope.QUERIES_READ, "POST": Scope.REFUNDS_WRITE}

    def get(self, request):
        reached.append("get")
        return Response({})

    post = get
    delete = get


urlpatterns = [
    path("openapi/v1/named", Named.as_view()),
    path("openapi/v1/echo", Echo.as_view()),
    path("openapi/v1/echo/<str:anything>", Echo.as_view()),
    path("openapi/v1/guarded", Guarded.as_view()),
    path("openapi/v1/things", Things.as_view()),
    path("openapi/v1/breaks/<str:how>", Breaks.as_view()),
    path("openapi/v1/counted", Counted.as_view()),
    path("openapi/v1/renames", Renames.as_view()),
    path("openapi/v1/", include("openplatform.urls")),
    path("sandbox/openapi/v1/echo", Echo.as_view()),
]
handler400 = "config.errors.bad_request"
handler404 = "config.errors.not_found"
