"""What a merchant wants of us where the law of states leaves a choice."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from openplatform.models import App


class LatePayment(models.TextChoices):
    """What becomes of money that comes after the order was called closed or failed."""

    ACCEPT = "accept", _("keep it: the order counts as paid")
    REFUND = "refund", _("give it back at once")
    HOLD = "hold", _("keep it until a person has decided")


class OrderPolicy(models.Model):
    """One row for an app that has chosen; the defaults for all others."""

    app = models.OneToOneField(App, primary_key=True, on_delete=models.PROTECT, verbose_name=_("app"))
    late_payment = models.CharField(
        _("money that comes after the close"), max_length=10, choices=LatePayment, default=LatePayment.ACCEPT
    )

    class Meta:
        verbose_name = _("order policy")
        verbose_name_plural = _("order policies")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(late_payment__in=LatePayment.values), name="order_policy_late_payment_known"
            )
        ]

    def __str__(self) -> str:
        return str(self.app_id)

    @classmethod
    def of(cls, app_id: int) -> "OrderPolicy":
        """The app's policy, or the default one."""
        return cls.objects.filter(app_id=app_id).first() or cls(app_id=app_id)

    @classmethod
    def choose(cls, *, app: App, late_payment: str) -> "OrderPolicy":
        """Write down what the merchant wants from now on; what has happened stays as it is."""
        policy, _created = cls.objects.update_or_create(app=app, defaults={"late_payment": LatePayment(late_payment)})
        return policy
