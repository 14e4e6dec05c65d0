"""What a merchant wants of us where the law of states leaves a choice."""

from openplatform.models import App
from payments.models import OrderPolicy


def choose_policy(*, app_id: int, late_payment: str) -> OrderPolicy:
    """Write down what becomes of money that comes too late, from now on."""
    return OrderPolicy.choose(app=App.objects.get(pk=app_id), late_payment=late_payment)
