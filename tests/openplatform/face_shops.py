"""A merchant's server that was written for WeChat Pay's callbacks. It shares no code with ours."""

import base64
import json
import threading

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.openplatform import harness
from tests.openplatform.merchants import answers
from tests.openplatform.shops import Shop


class FaceShop(Shop):
    """Verifies as the shop of our own notifications does, then decrypts; `fault` as there."""

    prefix = "wechatpay"

    def __init__(self, server, *, pem, app_id, api_key, appid, fault=""):
        super().__init__(server, pem=pem, app_id=app_id, fault=fault)
        self.api_key, self.appid, self.fault = api_key, appid, fault

    def signed(self, request):
        headers = {f"Wechatpay-{name}": value for name, value in self.given(request).items()}
        return 0 if harness.proves(self.pem, headers, request.body, prefix="Wechatpay") else 401

    def plain(self, request):
        """What is in the envelope. Raises InvalidTag."""
        resource = request.document["resource"]
        bound_to = b"" if self.fault == "associated data" else resource["associated_data"].encode()
        return json.loads(
            AESGCM(self.api_key.encode()).decrypt(
                resource["nonce"].encode(), base64.b64decode(resource["ciphertext"]), bound_to
            )
        )

    def opens(self, request):
        try:
            self.plain(request)
        except InvalidTag:
            return 500 if self.fault == "crashes on tags" else 400
        return 0

    def for_us(self, request):
        return 0 if self.plain(request)["mchid"] == self.app_id else 403

    def for_our_appid(self, request):
        plain = self.plain(request)
        return 0 if "refund_id" in plain or plain["appid"] == self.appid else 403

    def amount(self, request):
        plain = self.plain(request)
        return 0 if plain["amount"]["total"] == int(plain["out_trade_no"].split("_")[1]) else 422

    RULES = {
        **{name: rule for name, rule in Shop.RULES.items() if name not in {"signature", "app", "amount"}},
        "signature": signed, "opens": opens, "app": for_us, "appid": for_our_appid, "amount": amount,
    }  # fmt: skip

    def knows_payments_alone(self, request):
        return 400 if request.document["event_type"] != "TRANSACTION.SUCCESS" else 0

    def acknowledges_what_it_cannot_open(self, request):
        """As programs do whose handler logs the trouble and says SUCCESS."""
        if self.complete(request) or self.a_number(request) or self.base64_text(request) or self.signed(request):
            return 0
        return 204 if self.opens(request) else 0

    MISTAKES = {
        **{name: mistake for name, mistake in Shop.MISTAKES.items() if name in {"size", "content-type"}},
        "refunds": knows_payments_alone, "acknowledges": acknowledges_what_it_cannot_open,
    }  # fmt: skip


class ProgramOfTheirs:
    """A handler around the package `wechatpayv3`, unchanged: what it returns nothing for is refused."""

    def __init__(self, server, client, *, app_id):
        self.server, self.client, self.app_id, self.lock = server, client, str(app_id), threading.Lock()
        server.behaviour = self.behave

    def behave(self, connection):
        request = self.server.requests[-1]
        try:
            told = self.client.callback(request.headers, request.body)
        except Exception:  # noqa: BLE001 - a web framework's answer to whatever the package raises
            return answers(500)(connection)
        if not told:
            return answers(401)(connection)
        return answers(204 if self.is_ours(told["resource"]) else 422)(connection)

    def is_ours(self, resource):
        amount = int(resource["out_trade_no"].split("_")[1])
        return resource["mchid"] == self.app_id and resource["amount"]["total"] == amount
