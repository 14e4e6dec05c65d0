from django.apps import AppConfig


class IdgenConfig(AppConfig):
    name = "idgen"
    default_auto_field = "django.db.models.BigAutoField"
