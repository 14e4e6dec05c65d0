from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The composition root as an app, so that `manage.py up` and the console's templates are found."""

    name = "config"
    label = "fenpay_config"
