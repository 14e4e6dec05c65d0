"""One random history of a shop: orders, payers, workers that die, a channel that misbehaves; all from one seed.

Callbacks come from the sandbox itself, over HTTP, whenever it likes. All else is chosen by the seed, so a history
that fails can be tried again, though not to the millisecond.
"""

from collections.abc import Callable
from datetime import timedelta
from random import Random

from payments.errors import PaymentsError
from payments.models import Order, Payment, Refund
from payments.operations import orders, payments, rechecks, refunds, schedules
from payments.operations.guarded import open_guarded
from payments.states import PAYMENT_OPEN, REFUND_OPEN, OrderStatus, PaymentStatus, RefundStatus
from tests import factories
from tests.faults.conftest import Shop
from tests.sandboxes import ControlRefused

# The last digits choose what the sandbox does (its README): the quick ones of its test values, and ordinary amounts.
DIGITS = [*[30] * 8, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 18]
CALL_FAULTS = [
    "unknown_but_done", "unknown_not_done", "connection_reset", "half_body", "bad_json", "bad_gateway_html",
    "frequency_limited_done", "frequency_limited_not_done", "wrong_signature", "missing_signature", "refused",
]  # fmt: skip
NOTICE_FAULTS = ["duplicates", "never", "wrong_signature", "wrong_amount", "unknown_order"]
LIFETIME_S = 100
SETTLING_ROUNDS_MAX = 60
IN_PAYMENT = [status.value for status in PAYMENT_OPEN]
# A refund that needs a person has come to its end as far as a worker can bring it.
IN_REFUND = [status.value for status in REFUND_OPEN if status != RefundStatus.ABNORMAL]


class History:
    """Take some steps, then let it settle, and look whether both sides tell the same story."""

    def __init__(self, shop: Shop, *, seed: int) -> None:
        self.shop, self.random = shop, Random(seed)
        self.log: list[str] = []

    def run(self, *, steps: int) -> None:
        acts: list[tuple[int, Callable[[], str]]] = [
            (3, self.order), (6, self.work), (3, self.pay), (2, self.die), (2, self.misbehave), (2, self.close),
            (2, self.refund), (2, self.pay_what_is_closed),
        ]  # fmt: skip
        weights = [weight for weight, _act in acts]
        for _ in range(steps):
            [(_weight, act)] = self.random.choices(acts, weights)
            self.log.append(f"{act.__name__} {act()}")

    # What may happen.

    def order(self) -> str:
        amount_fen = 100 * self.random.randint(1, 5_000) + self.random.choice(DIGITS)
        expires_at = self.shop.now() + timedelta(seconds=LIFETIME_S)
        order = self.shop.order(amount_fen, expires_at=expires_at, notify_url="https://shop.example/notify")
        return f"{order.pk} {amount_fen}"

    def work(self) -> str:
        rows = [*Payment.objects.filter(status__in=IN_PAYMENT), *Refund.objects.filter(status__in=IN_REFUND)]
        return self.drive(self.random.choice(rows)) if rows else ""

    def pay(self) -> str:
        return self._pay(Payment.objects.filter(status__in=IN_PAYMENT))

    def pay_what_is_closed(self) -> str:
        return self._pay(Payment.objects.filter(status=PaymentStatus.CLOSED, paid_at=None), even_closed=True)

    def die(self) -> str:
        """A worker that is killed when the channel has heard it and before anything is written down."""
        payment = self._any(Payment.objects.filter(status=PaymentStatus.SUBMITTING))
        refund = self._any(Refund.objects.filter(status=RefundStatus.SUBMITTING))
        lease, now = schedules.lease(), self.shop.now()
        if payment is not None and (claimed := Payment.claim(payment.pk, now=now, lease=lease)) is not None:
            open_guarded(claimed.account).create(payments._request(claimed), now=now)
            Payment.objects.filter(pk=claimed.pk).update(lease_until=now)
        if refund is not None and (taken := Refund.claim(refund.pk, now=now, lease=lease)) is not None:
            open_guarded(taken.payment.account).refund(refunds._request(taken), now=now)
            Refund.objects.filter(pk=taken.pk).update(lease_until=now)
        return f"{payment} {refund}"

    def misbehave(self) -> str:
        if self.random.random() < 0.3:
            operation, fault = "notify_payment", self.random.choice(NOTICE_FAULTS)
        else:
            operation = self.random.choice(["create", "query", "close", "refund", "refund_query"])
            fault = self.random.choice(CALL_FAULTS)
        self.shop.control.add_fault(operation, fault, times=1)
        return f"{operation} {fault}"

    def close(self) -> str:
        order = self._any(Order.objects.filter(status=OrderStatus.PAYING))
        if order is None:
            return ""
        try:
            orders.close_order(app=self.shop.app, order_no=order.pk, now=self.shop.now())
        except PaymentsError as refusal:
            return f"{order.pk} {refusal.code}"
        return f"{order.pk}"

    def refund(self) -> str:
        order = self._any(Order.objects.filter(payments__status=PaymentStatus.SUCCEEDED))
        if order is None:
            return ""
        wish = factories.a_refund_wish(amount_fen=self.random.randint(1, order.amount_fen))
        try:
            refunds.create_refund(app=self.shop.app, order_no=order.pk, wish=wish, now=self.shop.now())
        except PaymentsError as refusal:
            return f"{order.pk} {refusal.code}"
        return f"{order.pk} {wish.amount_fen}"

    # The end: the channel is well again, time passes, and workers do what is due.

    def settle(self) -> None:
        self.shop.control.call("DELETE", "faults")
        self.shop.breaker.reset()
        self.shop.later(LIFETIME_S + 1)
        for _ in range(SETTLING_ROUNDS_MAX):
            Payment.objects.update(refund_turn_until=None)  # a minute has passed
            rows = [*Payment.objects.filter(status__in=IN_PAYMENT), *Refund.objects.filter(status__in=IN_REFUND)]
            if not rows and not self._recheck():
                return
            for row in rows:
                self.drive(row)
        raise AssertionError(f"not settled: {[(type(row).__name__, row.status, row.last_answer) for row in rows]}")

    def drive(self, row: Payment | Refund) -> str:
        self.shop.wait_for(row)
        if isinstance(row, Payment):
            payments.drive_payment(payment_no=row.pk, clock=self.shop.now)
        else:
            refunds.drive_refund(refund_no=row.pk, clock=self.shop.now)
        row.refresh_from_db()
        return f"{type(row).__name__} {row.pk} {row.status}"

    def _recheck(self) -> bool:
        """The next day: ended payments are asked about once more. Whether there was one."""
        due = Payment.objects.filter(recheck_at__isnull=False, recheck_count=1)
        numbers = list(due.values_list("pk", flat=True))
        due.update(recheck_at=self.shop.now())
        for number in numbers:
            rechecks.recheck_payment(payment_no=number, clock=self.shop.now)
        return bool(numbers)

    def _pay(self, rows, **how: bool) -> str:
        payment = self._any(rows)
        if payment is None:
            return ""
        try:
            self.shop.control.pay(str(payment.pk), **how)
        except ControlRefused as refusal:
            return f"{payment.pk} {refusal}"
        return f"{payment.pk}"

    def _any(self, rows):
        numbers = list(rows.order_by("pk").values_list("pk", flat=True))
        return rows.model.objects.get(pk=self.random.choice(numbers)) if numbers else None
