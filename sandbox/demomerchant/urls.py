"""The demo merchant's addresses."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from sandbox import pages
from sandbox.demomerchant import views


def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view
    return JsonResponse({"status": "ok"})


urlpatterns = [
    path("", views.home),
    path("healthz", healthz),
    path("notify", views.notify),
    path("received", views.received),
    path("return", views.returned),
    path("shop.css", pages.asset, {"name": "shop.css"}),
]
