"""A shop whose program was written for WeChat Pay: our real web process, workers that work, the sandbox upstream."""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
from cryptography.hazmat.primitives import serialization
from django.conf import settings
from django.db import connection
from django.utils import timezone
from wechatpayv3 import WeChatPay, WeChatPayType, core

from openplatform.keys import ensure_platform_key
from openplatform.models import AppKey, Notification
from openplatform.notifications.delivery import deliver_notification
from payments import queries
from payments.operations import payments, refunds
from tests.faults.conftest import Shop
from tests.openplatform import harness
from tests.sandboxes import wait_until

ROOT = Path(__file__).parents[3]
logger = logging.getLogger(__name__)


@contextmanager
def web_process(shop: Shop) -> Iterator[str]:
    """gunicorn on this test's database. Gives its base URL, which the channel calls back to as well."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        database = settings.DATABASES["default"]
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.payments.api.face_settings", "PYTHONPATH": str(ROOT),
            "DATABASE_URL": f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}",
            "MASTER_KEY": settings.MASTER_KEY, "SECRET_KEY": "x" * 50, "PUBLIC_BASE_URL": base_url,
            "CHANNEL_PRIVATE_HOSTS": shop.sandbox.host, "NOTIFICATION_ALLOW_HTTP": "1",
            "NOTIFICATION_PRIVATE_HOSTS": ",".join(settings.NOTIFICATION_PRIVATE_HOSTS),
        }  # fmt: skip
        command = [
            sys.executable, "-m", "gunicorn", "--workers", "1", "--threads", "6", "--worker-class", "gthread",
            "--graceful-timeout", "1", "--log-level", "warning", "--bind", f"fd://{listener.fileno()}", "config.wsgi",
        ]  # fmt: skip
        process = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[listener.fileno()])
        try:
            wait_until(lambda: _answers(f"{base_url}/healthz"), within_s=30, what="the web process")
            yield base_url
        finally:
            process.terminate()
            process.wait(20)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


@contextmanager
def workers() -> Iterator[None]:
    """What workers and beat do, in a thread: whatever is due is driven, again and again."""
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.wait(0.05):
                _drive_what_is_due()
        finally:
            connection.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)


def _drive_what_is_due() -> None:
    due: dict[str, Any] = {"now": timezone.now(), "lease": timedelta(seconds=30), "limit": 10}
    try:
        for payment in queries.due_payments(**due):
            payments.drive_payment(payment_no=payment.pk, clock=timezone.now)
        for refund in queries.due_refunds(**due):
            refunds.drive_refund(refund_no=refund.pk, clock=timezone.now)
        for notification in Notification.objects.filter(status="owed", next_attempt_at__lte=timezone.now()):
            deliver_notification(notification_id=notification.pk, clock=timezone.now)
    except Exception:
        logger.exception("the test's worker stumbled")
        time.sleep(0.2)


class Program:
    """The merchant's program: the package `wechatpayv3`, unchanged, told nothing of us but a base URL."""

    def __init__(self, shop: Shop, base_url: str, *, notify_url: str) -> None:
        self.api_key = shop.app.open_wechatpay_face()
        self.platform_key = ensure_platform_key(now=timezone.now())
        self.pair = harness.a_key()
        public = harness.public_pem(self.pair)
        self.serial_no = AppKey.register(app=shop.app, public_key_pem=public, now=timezone.now()).pk
        self.shop, self.base_url, self.notify_url = shop, base_url, notify_url

    def in_public_key_mode(self) -> WeChatPay:
        client = self._construct(public_key=self.platform_key.public_key_pem, public_key_id=self.platform_key.serial_no)
        client._core._gate_way = self.base_url
        return client

    def in_certificate_mode(self, monkeypatch: Any) -> WeChatPay:
        """It fetches certificates while it is constructed, so the base URL must be there before."""
        fetch = core.Core._update_certificates

        def pointed(client: Any) -> None:
            client._gate_way = self.base_url
            fetch(client)

        monkeypatch.setattr(core.Core, "_update_certificates", pointed)
        return self._construct()

    def _construct(self, **keys: str) -> WeChatPay:
        private = self.pair.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return WeChatPay(
            wechatpay_type=WeChatPayType.NATIVE, mchid=str(self.shop.app.pk), private_key=private.decode(),
            cert_serial_no=self.serial_no, apiv3_key=self.api_key, appid=self.shop.account.settings["appid"],
            notify_url=self.notify_url, timeout=(5, 15), **keys,
        )  # fmt: skip
