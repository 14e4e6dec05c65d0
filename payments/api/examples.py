"""Orders and refunds as the OpenAPI document shows them. A test holds them to the shapes that are documented."""

from typing import Any

ORDER: dict[str, Any] = {
    "app_id": "249831726539776001", "order_no": "249831802119487490", "out_trade_no": "A20260102000001",
    "status": "PAYING", "amount": "40.30", "amount_fen": 4030, "refunded": "0.00", "refunded_fen": 0,
    "currency": "CNY", "subject": "两杯咖啡", "channel": "wechatpay", "method": "jsapi", "channel_trade_no": None,
    "failure_code": None, "metadata": {"table": "7"}, "created_at": "2026-01-02T04:00:00Z",
    "expires_at": "2026-01-02T06:00:00Z", "paid_at": None, "closed_at": None, "version": 2,
    "payer": None, "cashier_url": "https://pay.example.com/cashier/JmUjB2mE9v0nq3o2nJ1bqk3C4sVb6u2T8n5x7y9z0aB",
    "jsapi": {
        "appId": "wx8888888888888888", "timeStamp": "1767326400", "nonceStr": "593BEC0C930BF1AFEB40B4A08C8FB242",
        "package": "prepay_id=wx201410272009395522657a690389285100", "signType": "RSA", "paySign": "oR9d8Puh…",
    },
    "app": None, "code_url": None, "h5_url": None, "pay_url": None, "next_check_at": "2026-01-02T04:00:30Z",
    "resolve_by": "2026-01-02T06:15:00Z", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}  # fmt: skip
SUBMITTING = ORDER | {"status": "SUBMITTING", "jsapi": None, "version": 1, "next_check_at": "2026-01-02T04:00:05Z"}
FAILED = ORDER | {"status": "FAILED", "failure_code": "PARAM_ERROR", "jsapi": None, "next_check_at": None,
                  "resolve_by": None}  # fmt: skip
PAID = ORDER | {
    "status": "SUCCEEDED", "jsapi": None, "next_check_at": None, "resolve_by": None, "version": 3,
    "channel_trade_no": "4200001234202601021234567890", "paid_at": "2026-01-02T04:01:12Z",
}  # fmt: skip
WITH_MONEY_BACK = PAID | {"refunded": "10.00", "refunded_fen": 1000, "version": 4}
CLOSING = ORDER | {"status": "CLOSING", "jsapi": None, "version": 3}
CLOSED = CLOSING | {"status": "CLOSED", "closed_at": "2026-01-02T04:05:00Z", "next_check_at": None, "resolve_by": None,
                    "version": 4}  # fmt: skip

REFUND: dict[str, Any] = {
    "app_id": "249831726539776001", "refund_no": "249832019880873986", "out_refund_no": "R20260102000001",
    "order_no": "249831802119487490", "out_trade_no": "A20260102000001", "kind": "merchant", "status": "PROCESSING",
    "amount": "10.00", "amount_fen": 1000, "currency": "CNY", "reason": "洒了",
    "channel_refund_no": "50000000382019052709732678859", "failure_code": None, "created_at": "2026-01-02T05:00:00Z",
    "succeeded_at": None, "version": 2, "next_check_at": "2026-01-02T05:01:00Z",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}  # fmt: skip
DONE_REFUND = REFUND | {"status": "SUCCEEDED", "succeeded_at": "2026-01-02T05:00:09Z", "next_check_at": None,
                        "version": 3}  # fmt: skip
SUBMITTED_REFUND = REFUND | {"status": "SUBMITTING", "channel_refund_no": None, "version": 1}
