"""What the sandbox remembers: one SQLite file. Amounts are integer fen, times are aware."""

from typing import ClassVar

from django.db import models


class PayOrder(models.Model):
    """An order as the platform knows it, under (mchid, out_trade_no)."""

    NOTPAY, SUCCESS, REFUND, CLOSED = "NOTPAY", "SUCCESS", "REFUND", "CLOSED"

    mchid = models.CharField(max_length=32)
    appid = models.CharField(max_length=32)
    out_trade_no = models.CharField(max_length=32)
    product = models.CharField(max_length=16)  # jsapi, native, ...
    description = models.CharField(max_length=127)
    attach = models.CharField(max_length=128)
    notify_url = models.CharField(max_length=255)
    openid = models.CharField(max_length=128)  # who shall pay; for native: who did
    total_fen = models.BigIntegerField()
    digest = models.CharField(max_length=64)  # of all parameters: a re-send must be identical
    state = models.CharField(max_length=16, default=NOTPAY)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    pay_at = models.DateTimeField(null=True)  # the sandbox itself pays then, whatever the state is by that time
    transaction_id = models.CharField(max_length=32, null=True, unique=True)
    success_time = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["PayOrder"]] = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mchid", "out_trade_no"], name="order_number_once")]
        indexes = [models.Index(fields=["pay_at"]), models.Index(fields=["state", "expires_at"])]

    def __str__(self) -> str:
        return f"{self.out_trade_no} {self.state}"


class Prepay(models.Model):
    """A prepay_id, or the token of a native code_url. An order gets a fresh one after its two hours."""

    token = models.CharField(max_length=64, unique=True)
    order = models.ForeignKey(PayOrder, on_delete=models.CASCADE)
    expires_at = models.DateTimeField()

    objects: ClassVar[models.Manager["Prepay"]] = models.Manager()

    def __str__(self) -> str:
        return self.token


class Refund(models.Model):
    PROCESSING, SUCCESS, ABNORMAL, CLOSED = "PROCESSING", "SUCCESS", "ABNORMAL", "CLOSED"

    order = models.ForeignKey(PayOrder, on_delete=models.CASCADE)
    mchid = models.CharField(max_length=32)
    out_refund_no = models.CharField(max_length=64)
    refund_id = models.CharField(max_length=32, null=True, unique=True)
    reason = models.CharField(max_length=80)
    notify_url = models.CharField(max_length=256)
    refund_fen = models.BigIntegerField()
    status = models.CharField(max_length=16, default=PROCESSING)
    created_at = models.DateTimeField()
    settle_at = models.DateTimeField(null=True)
    settle_to = models.CharField(max_length=16, default=SUCCESS)
    success_time = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["Refund"]] = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mchid", "out_refund_no"], name="refund_number_once")]
        indexes = [models.Index(fields=["settle_at"])]

    def __str__(self) -> str:
        return f"{self.out_refund_no} {self.status}"


class Notification(models.Model):
    """A notification owed to a merchant: the body is made once, timestamp and signature at every attempt."""

    WAITING, SENDING, DELIVERED, EXHAUSTED, HELD = "WAITING", "SENDING", "DELIVERED", "EXHAUSTED", "HELD"

    event_id = models.CharField(max_length=36, null=True, unique=True)
    mchid = models.CharField(max_length=32)
    number = models.CharField(max_length=64)  # out_trade_no or out_refund_no
    event_type = models.CharField(max_length=32)
    url = models.CharField(max_length=256)
    body = models.TextField()
    plan = models.JSONField(default=dict)  # a NoticePlan that is not the ordinary one (faults.py)
    state = models.CharField(max_length=16, default=WAITING)
    attempt_count = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    next_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["Notification"]] = models.Manager()

    class Meta:
        indexes = [models.Index(fields=["state", "next_at"])]

    def __str__(self) -> str:
        return f"{self.event_id} {self.state}"


class Attempt(models.Model):
    """One POST of a notification and what came back; `status` 0 means no HTTP answer, `error` says why."""

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE)
    at = models.DateTimeField()
    status = models.IntegerField()
    latency_ms = models.IntegerField()
    body = models.TextField()
    error = models.CharField(max_length=64)

    objects: ClassVar[models.Manager["Attempt"]] = models.Manager()

    def __str__(self) -> str:
        return f"{self.at} {self.status}"


class Call(models.Model):
    """One request of a merchant. `executed` is null while it runs, or when it died before anything was decided."""

    request_id = models.CharField(max_length=32)
    at = models.DateTimeField()
    method = models.CharField(max_length=8)
    target = models.CharField(max_length=512)
    operation = models.CharField(max_length=32)
    number = models.CharField(max_length=64)
    mchid = models.CharField(max_length=32)
    status = models.IntegerField(null=True)  # of the answer that was sent, or tried
    code = models.CharField(max_length=64)  # of the error body
    fault = models.CharField(max_length=32)
    executed = models.BooleanField(null=True)
    duration_ms = models.IntegerField(null=True)

    objects: ClassVar[models.Manager["Call"]] = models.Manager()

    class Meta:
        indexes = [models.Index(fields=["operation", "number"])]

    def __str__(self) -> str:
        return f"{self.request_id} {self.operation}"


class FaultRule(models.Model):
    """Which calls go wrong, and how. `seen` counts matching calls, `fired` those that the fault hit."""

    operation = models.CharField(max_length=32)
    number = models.CharField(max_length=64)  # shell pattern on the merchant's number
    skip = models.IntegerField(default=0)  # let the first n matching calls pass
    times = models.IntegerField(null=True)  # then hit so many; null: all
    probability = models.FloatField(default=1)
    seed = models.IntegerField(default=0)
    fault = models.CharField(max_length=32)
    params = models.JSONField(default=dict)
    seen = models.IntegerField(default=0)
    fired = models.IntegerField(default=0)

    objects: ClassVar[models.Manager["FaultRule"]] = models.Manager()

    def __str__(self) -> str:
        return f"{self.operation} {self.fault}"


class OAuthCode(models.Model):
    code = models.CharField(max_length=64, unique=True)
    appid = models.CharField(max_length=32)
    openid = models.CharField(max_length=128)
    scope = models.CharField(max_length=32)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["OAuthCode"]] = models.Manager()

    def __str__(self) -> str:
        return self.code


class Option(models.Model):
    name = models.CharField(max_length=32, primary_key=True)
    value = models.JSONField()

    objects: ClassVar[models.Manager["Option"]] = models.Manager()

    def __str__(self) -> str:
        return self.name
