from django.apps import AppConfig


class IdgenConfig(AppConfig):
    name = "idgen"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from idgen import checks  # noqa: F401, PLC0415 - registers them once the apps are there
