"""What the sandbox remembers: one SQLite file. Amounts are integer fen, times are aware."""

import json
from typing import ClassVar

from django.db import models

WECHATPAY, ALIPAY, UNIONPAY = "wechatpay", "alipay", "unionpay"
CHANNELS = (WECHATPAY, ALIPAY, UNIONPAY)


class PayOrder(models.Model):
    """An order as a platform knows it, under (channel, mchid, out_trade_no). The states are WeChat Pay's words.

    `mchid` is the account: in partner mode the provider's, at Alipay the seller's, at UnionPay merId.
    """

    NOTPAY, USERPAYING, SUCCESS, REFUND = "NOTPAY", "USERPAYING", "SUCCESS", "REFUND"
    CLOSED, REVOKED, PAYERROR = "CLOSED", "REVOKED", "PAYERROR"
    UNPAID = frozenset({NOTPAY, USERPAYING})
    PAID = frozenset({SUCCESS, REFUND})

    channel = models.CharField(max_length=16, default=WECHATPAY)
    mchid = models.CharField(max_length=32)
    appid = models.CharField(max_length=32)
    sub_mchid = models.CharField(max_length=32, default="")  # partner mode: for whom the provider acts
    sub_appid = models.CharField(max_length=32, default="")
    out_trade_no = models.CharField(max_length=64)
    product = models.CharField(max_length=16)  # jsapi, native, barcode, ...
    description = models.CharField(max_length=256)
    attach = models.CharField(max_length=512)
    notify_url = models.CharField(max_length=256)
    openid = models.CharField(max_length=128)  # who shall pay; without a named payer: who did
    facts = models.JSONField(default=dict)  # what one channel alone wants to remember
    is_known = models.BooleanField(default=True)  # Alipay's precreate: not before somebody has scanned it
    asks_left = models.IntegerField(default=0)  # bar code: so many queries are still told that the payer is busy
    asks_end = models.CharField(max_length=16, default="")  # and then it ends in this state
    total_fen = models.BigIntegerField()
    digest = models.CharField(max_length=64)  # of all parameters: a re-send must be identical
    state = models.CharField(max_length=16, default=NOTPAY)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    pay_at = models.DateTimeField(null=True)  # the sandbox itself pays then, whatever the state is by that time
    transaction_id = models.CharField(max_length=32, null=True, unique=True)
    success_time = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)  # closed, reversed or failed

    objects: ClassVar[models.Manager["PayOrder"]] = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "mchid", "out_trade_no"], name="order_number_once")]
        indexes = [models.Index(fields=["pay_at"]), models.Index(fields=["state", "expires_at"])]

    def __str__(self) -> str:
        return f"{self.out_trade_no} {self.state}"

    @property
    def is_paid(self) -> bool:
        return self.state in self.PAID

    @property
    def is_unpaid(self) -> bool:
        return self.state in self.UNPAID

    def refunded_fen(self) -> int:
        """The sum of all refunds that were not given up, done or under way."""
        kept = Refund.objects.filter(order=self).exclude(status=Refund.CLOSED)
        return int(kept.aggregate(sum=models.Sum("refund_fen"))["sum"] or 0)


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
    channel = models.CharField(max_length=16, default=WECHATPAY)
    mchid = models.CharField(max_length=32)
    out_refund_no = models.CharField(max_length=64)
    refund_id = models.CharField(max_length=32, null=True, unique=True)
    reason = models.CharField(max_length=256)
    notify_url = models.CharField(max_length=256)
    refund_fen = models.BigIntegerField()
    status = models.CharField(max_length=16, default=PROCESSING)
    created_at = models.DateTimeField()
    settle_at = models.DateTimeField(null=True)
    settle_to = models.CharField(max_length=16, default=SUCCESS)
    success_time = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["Refund"]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "mchid", "out_refund_no"],
                condition=~models.Q(channel=ALIPAY),
                name="refund_number_once",
            ),
            # Alipay's number of a refund counts within its trade.
            models.UniqueConstraint(
                fields=["order", "out_refund_no"],
                condition=models.Q(channel=ALIPAY),
                name="refund_number_once_in_trade",
            ),
        ]
        indexes = [models.Index(fields=["settle_at"])]

    def __str__(self) -> str:
        return f"{self.out_refund_no} {self.status}"


class Notification(models.Model):
    """A notification owed to a merchant: the content is made once, time and signature at every attempt."""

    WAITING, SENDING, DELIVERED, EXHAUSTED, HELD = "WAITING", "SENDING", "DELIVERED", "EXHAUSTED", "HELD"

    channel = models.CharField(max_length=16, default=WECHATPAY)
    order = models.ForeignKey(PayOrder, null=True, on_delete=models.CASCADE)
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

    channel = models.CharField(max_length=16, default=WECHATPAY)
    host = models.CharField(max_length=8, default="primary")  # or "backup"
    request_id = models.CharField(max_length=32)
    at = models.DateTimeField()
    method = models.CharField(max_length=8)
    target = models.CharField(max_length=512)
    body = models.TextField(default="")  # the beginning of what was sent
    canonical = models.TextField(default="")  # what should have been signed, when the signature was refused
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

    channel = models.CharField(max_length=16, default="")  # "": all
    host = models.CharField(max_length=8, default="")  # "": both
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

    @property
    def params_text(self) -> str:
        return json.dumps(self.params)


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


class BarCode(models.Model):
    """A payment code that a phone has shown, or that a merchant has sent in. Each pays one order."""

    code = models.CharField(max_length=32, unique=True)
    channel = models.CharField(max_length=16)
    payer = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    used_for = models.CharField(max_length=64, default="")  # out_trade_no

    objects: ClassVar[models.Manager["BarCode"]] = models.Manager()

    def __str__(self) -> str:
        return self.code


class BillFile(models.Model):
    """A bill as it was made when its address was asked for; the token in the address is all that opens it."""

    token = models.CharField(max_length=64, unique=True)
    channel = models.CharField(max_length=16)
    mchid = models.CharField(max_length=32)
    filename = models.CharField(max_length=128)
    content = models.BinaryField()
    is_gzip = models.BooleanField(default=False)
    expires_at = models.DateTimeField()

    objects: ClassVar[models.Manager["BillFile"]] = models.Manager()

    def __str__(self) -> str:
        return self.filename


class Option(models.Model):
    name = models.CharField(max_length=32, primary_key=True)
    value = models.JSONField()

    objects: ClassVar[models.Manager["Option"]] = models.Manager()

    def __str__(self) -> str:
        return self.name
