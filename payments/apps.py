from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class PaymentsConfig(AppConfig):
    name = "payments"
    verbose_name = _("Money")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from payments.operations.roles import ensure_roles  # noqa: PLC0415 - once the apps are there

        # Permissions exist only after migrations; this app is the last one, so all of them do.
        post_migrate.connect(ensure_roles, sender=self, dispatch_uid="payments.roles")
