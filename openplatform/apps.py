from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OpenplatformConfig(AppConfig):
    name = "openplatform"
    verbose_name = _("Open platform")
    default_auto_field = "django.db.models.BigAutoField"
