from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The composition root as an app, so that `manage.py up` and the console's templates are found."""

    name = "config"
    label = "fenpay_config"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Tasks are declared with `shared_task`: whoever sends one must have our application, and not Celery's default.
        from config import celery, checks  # noqa: F401, PLC0415 - once the apps are there
