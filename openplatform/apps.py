from django.apps import AppConfig


class OpenplatformConfig(AppConfig):
    name = "openplatform"
    default_auto_field = "django.db.models.BigAutoField"
