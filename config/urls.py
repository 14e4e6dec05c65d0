"""Every address that we serve."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.i18n import set_language

from config import health, waterfall
from payments.console import health as console_health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("health/queues", health.queues, name="health_queues"),
    path(f"{settings.ADMIN_PATH}trace/<str:trace_id>/", admin.site.admin_view(waterfall.page), name="trace"),
    path(f"{settings.ADMIN_PATH}health/", admin.site.admin_view(console_health.page), name="console_health"),
    path(f"{settings.ADMIN_PATH}language/", set_language, name="set_language"),
    path(settings.ADMIN_PATH, admin.site.urls),
    path("openapi/v1/", include("openplatform.urls")),
    path("sandbox/openapi/v1/", include(("config.sandbox_urls", "sandbox"))),
    path("workbench/", include("openplatform.workbench.urls")),
    path("", include("payments.urls")),
]

handler400 = "config.errors.bad_request"
handler404 = "config.errors.not_found"
handler500 = "config.errors.server_error"
