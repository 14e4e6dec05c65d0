"""The events of a run in WeChat Pay's envelope: signed under its scheme, and the facts encrypted under the APIv3 key.

docs/wechatpay-face.md tells it to merchants.
"""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from openplatform import apiv3
from openplatform.conformance.bench import AMOUNT_FEN, EVENT_ID_PREFIX, TEST_ORDER, Bench, Event
from openplatform.conformance.shots import Shot
from openplatform.models import App
from openplatform.models.app import APIV3_KEY_LENGTH
from openplatform.notifications.message import json_bytes
from openplatform.notifications.queries import told_appid
from openplatform.signature import WECHATPAY_SCHEME

KINDS = {"TRANSACTION": "transaction", "REFUND": "refund"}


class WechatpayBench(Bench):
    """An event holds its `resource` in the clear; `document` encrypts it."""

    scheme = WECHATPAY_SCHEME
    sign_test_prefix = "WECHATPAY/SIGNTEST/"

    def __init__(self, *, app: App, run_id: int, clock: Callable[[], datetime]) -> None:
        super().__init__(app=app, run_id=run_id, clock=clock)
        self.api_key, self.appid = app.apiv3_key(), told_appid(app_id=app.pk)

    def event(
        self,
        *,
        number: int | None = None,
        on_file_fen: int = AMOUNT_FEN,
        paid_fen: int | None = None,
        app_id: str = "",
        **changes: Any,
    ) -> Event:
        number, paid_fen = number or self.next_number(), paid_fen or on_file_fen
        trade = {
            "appid": self.appid,
            **self._order(number, on_file_fen=on_file_fen, app_id=app_id),
            "trade_type": "NATIVE",
            "trade_state": "SUCCESS",
            "trade_state_desc": "支付成功",
            "bank_type": "OTHERS",
            "attach": TEST_ORDER,
            "payer": {"openid": TEST_ORDER},
            "amount": {"total": paid_fen, "payer_total": paid_fen, "currency": "CNY", "payer_currency": "CNY"},
        }
        return self._event(number, event_type="TRANSACTION.SUCCESS", summary="支付成功", resource=trade) | changes

    def refund_event(self) -> Event:
        """The whole of a test order given back."""
        number = self.next_number()
        refund = {
            **self._order(number, on_file_fen=AMOUNT_FEN),
            "out_refund_no": f"{TEST_ORDER}_R_{number}",
            "refund_id": f"{EVENT_ID_PREFIX}R{number}",
            "refund_status": "SUCCESS",
            "user_received_account": "原支付账户",
            "amount": dict.fromkeys(("total", "refund", "payer_total", "payer_refund"), AMOUNT_FEN),
        }
        return self._event(number, event_type="REFUND.SUCCESS", summary="退款成功", resource=refund)

    def with_unknown_fields(self, event: Event) -> Event:
        return event | {"new_thing": {"a": [1, None]}, "resource": event["resource"] | {"another_new_thing": "x"}}

    def event_id(self, document: Event) -> str:
        return str(document["id"])

    def document(self, event: Event) -> Event:
        return self.sealed(event)

    def sealed(self, event: Event, *, api_key: str = "", bound_to: str = "") -> Event:
        """The event as it is sent; encrypted under another key, or bound to other associated data than it says."""
        kind = KINDS[event["event_type"].partition(".")[0]]
        resource = apiv3.envelope(
            json_bytes(event["resource"]), api_key=api_key or self.api_key, associated_data=bound_to or kind
        )
        return event | {"resource": {"original_type": kind, **resource, "associated_data": kind}}

    def _order(self, number: int, *, on_file_fen: int, app_id: str = "") -> dict[str, Any]:
        return {
            "mchid": app_id or str(self.app.pk),
            "out_trade_no": self.out_trade_no(number, on_file_fen=on_file_fen),
            "transaction_id": f"{EVENT_ID_PREFIX}{self.run_id}{number:03d}",
            "success_time": apiv3.beijing(self.clock()),
            "test": True,
        }

    def _event(self, number: int, *, event_type: str, summary: str, resource: dict[str, Any]) -> Event:
        return {
            "id": self.new_event_id(number),
            "create_time": apiv3.beijing(self.clock()),
            "event_type": event_type,
            "resource_type": "encrypt-resource",
            "summary": summary,
            "test": True,
            "resource": resource,
        }


def refund_event(bench: WechatpayBench) -> list[Shot]:
    return [bench.shot(bench.refund_event())]


def tampered_ciphertext(bench: WechatpayBench) -> list[Shot]:
    """Its tag does not fit any more; the signature does."""
    document = bench.document(bench.event())
    resource = document["resource"]
    first = "B" if resource["ciphertext"][0] == "A" else "A"
    return [bench.shot_of(document | {"resource": resource | {"ciphertext": first + resource["ciphertext"][1:]}})]


def other_associated_data(bench: WechatpayBench) -> list[Shot]:
    """A text that was encrypted for another purpose."""
    return [bench.shot_of(bench.sealed(bench.event(), bound_to="certificate"))]


def other_apiv3_key(bench: WechatpayBench) -> list[Shot]:
    return [bench.shot_of(bench.sealed(bench.event(), api_key=secrets.token_hex(APIV3_KEY_LENGTH // 2)))]
