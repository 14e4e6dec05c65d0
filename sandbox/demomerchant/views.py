"""The demo merchant's doors: /notify for fenpay, / and /return for people, /received for tests."""

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone

from sandbox.demomerchant.models import Received
from sandbox.demomerchant.orders import amount_is_right, is_test
from sandbox.demomerchant.verify import NotGenuine, verified
from sandbox.pages import page

LISTED = 100
log = logging.getLogger("demo-merchant")


def notify(request: HttpRequest) -> HttpResponseBase:
    """Verify, compare, remember once, answer 204. A refusal is 401, so that a genuine one is sent again; a genuine one
    whose amount is not ours is 422, and a person must look at it.
    """
    if request.method != "POST":
        return HttpResponse(status=405)
    try:
        config = _config()
        event = verified(
            headers=request.headers,
            body=request.body,
            app_id=str(config["app_id"]),
            platform_keys=config["platform_keys"],
            now=time.time(),
        )
    except NotGenuine as problem:
        log.warning("REFUSED: %s", problem)
        return JsonResponse({"code": "SIGN_ERROR"}, status=401)
    if not amount_is_right(event):
        log.error("AMOUNT DIFFERS: %s event_id=%s", event["type"], event["event_id"])
        return JsonResponse({"code": "AMOUNT_DIFFERS"}, status=422)
    _remember(event)
    return HttpResponse(status=204)


def received(request: HttpRequest) -> HttpResponseBase:
    """Everything that was verified, oldest first."""
    rows = Received.objects.order_by("pk")
    return JsonResponse([_shown(row) for row in rows], safe=False, json_dumps_params={"ensure_ascii": False})


def home(request: HttpRequest) -> HttpResponseBase:
    rows = Received.objects.order_by("-pk")[:LISTED]
    return page(request, "demomerchant/home.html", {"events": [_shown(row) for row in rows]})


def returned(request: HttpRequest) -> HttpResponseBase:
    """Where the payer comes back to. What the browser says about the payment is not believed, only what we verified;
    and no test, for nobody has paid it.
    """
    number = request.GET.get("out_trade_no", "")
    real = Received.objects.filter(is_test=False)
    rows = real.filter(out_trade_no=number).order_by("-pk") if number else real.none()
    events = [_shown(row) for row in rows]
    paid = any(event["type"] == "order.succeeded" for event in events)
    return page(request, "demomerchant/return.html", {"number": number, "events": events, "paid": paid})


def _config() -> dict[str, Any]:
    """Our app id and fenpay's public keys; read each time, because keys are added while we run."""
    loaded: dict[str, Any] = json.loads(Path(os.environ["DEMO_MERCHANT_CONFIG"]).read_text())
    return loaded


def _remember(event: dict[str, Any]) -> None:
    data = event["data"]
    row, new = Received.objects.get_or_create(
        event_id=event["event_id"],
        defaults={
            "event_type": event["type"],
            "out_trade_no": str(data.get("out_trade_no", "")),
            "data": data,
            "object_version": event["object_version"],
            "created_at": str(event.get("created_at", "")),
            "received_at": timezone.now(),
            "is_test": is_test(event),
        },
    )
    if not new:
        Received.objects.filter(pk=row.pk).update(times=F("times") + 1)
    told = [f"{name}={data[name]}" for name in ("order_no", "refund_no", "amount") if name in data]
    again = "" if new else " (seen before)"
    if row.is_test:
        log.info("TEST verified: %s event_id=%s%s", event["type"], event["event_id"], again)
    else:
        log.info("notification verified: %s %s event_id=%s%s", event["type"], " ".join(told), event["event_id"], again)


def _shown(row: Received) -> dict[str, Any]:
    return {
        "event_id": row.event_id,
        "type": row.event_type,
        "out_trade_no": row.out_trade_no,
        "data": row.data,
        "object_version": row.object_version,
        "created_at": row.created_at,
        "received_at": row.received_at,
        "times": row.times,
        "is_test": row.is_test,
    }
