"""A merchant's server that does everything right but one thing. It shares no code with ours or with the demo."""

import re
import threading
import time

from tests.openplatform import harness
from tests.openplatform.merchants import answers

KNOWN_FIELDS = {"event_id", "type", "created_at", "object_version", "app_id", "test", "data", "padding"}
HEADERS = ("timestamp", "nonce", "serial", "signature", "signature-type")


class Shop:
    """`fault` names a rule that it leaves out, or a mistake that it makes."""

    prefix = "fenpay"

    def __init__(self, server, *, pem, app_id, fault=""):
        self.server, self.pem, self.app_id = server, pem, str(app_id)
        self.seen, self.lock = set(), threading.Lock()
        mistakes = {name: mistake for name, mistake in self.MISTAKES.items() if name == fault}
        kept = {name: rule for name, rule in self.RULES.items() if name != fault}
        self.believes_unsigned, self.takes_the_first = fault == "unsigned", fault == "first header"
        self.rules = [*mistakes.items(), *kept.items()]
        self.server.behaviour = self.behave

    def behave(self, connection):
        answers(self.status(self.server.requests[-1]))(connection)

    def status(self, request):
        if self.believes_unsigned and not self.given(request)["Signature"]:
            return 204
        try:
            refusals = (rule(self, request) for _name, rule in self.rules)
            return next((status for status in refusals if status), 204)
        except (ValueError, OverflowError):
            return 500  # it took something apart that it had not looked at

    def given(self, request):
        """The five headers; of one that is there twice the last, or the first."""
        pairs = reversed(request.pairs) if self.takes_the_first else request.pairs
        headers = {name.lower(): value for name, value in pairs}
        return {name.title(): headers.get(f"{self.prefix}-{name}", "") for name in HEADERS}

    # --- rules of a good one -----------------------------------------------------------------------------------

    def complete(self, request):
        return 0 if all(self.given(request).values()) else 401

    def a_number(self, request):
        return 0 if re.fullmatch("[0-9]{1,12}", self.given(request)["Timestamp"]) else 400

    def not_old(self, request):
        return 401 if time.time() - int(self.given(request)["Timestamp"]) > 300 else 0

    def not_early(self, request):
        return 401 if int(self.given(request)["Timestamp"]) - time.time() > 300 else 0

    def base64_text(self, request):
        return 0 if re.fullmatch("[A-Za-z0-9+/]{342}==", self.given(request)["Signature"]) else 400

    def a_known_serial(self, request):
        return 0 if re.fullmatch("[0-9A-F]{40}", self.given(request)["Serial"]) else 400

    def signed(self, request):
        headers = {f"Fenpay-{name}": value for name, value in self.given(request).items()}
        return 0 if harness.proves(self.pem, headers, request.body) else 401

    def for_us(self, request):
        return 0 if request.document["app_id"] == self.app_id else 403

    def amount(self, request):
        data = request.document["data"]
        return 0 if data["amount_fen"] == int(data["out_trade_no"].split("_")[1]) else 422

    RULES = {
        "complete": complete, "number": a_number, "past": not_old, "future": not_early, "base64": base64_text,
        "serial": a_known_serial, "signature": signed, "app": for_us, "amount": amount,
    }  # fmt: skip

    # --- mistakes ----------------------------------------------------------------------------------------------

    def reads_case(self, request):
        return 0 if "Fenpay-Signature" in request.headers or "fenpay-signature" not in request.headers else 401

    def insists_on_spelling(self, request):
        return 0 if request.headers["Content-Type"] == "application/json" else 415

    def has_little_room(self, request):
        return 413 if len(request.body) > 50_000 else 0

    def knows_all_types(self, request):
        return 0 if request.document["type"] in {"order.succeeded", "order.late"} else 400

    def knows_all_fields(self, request):
        return 400 if set(request.document) - KNOWN_FIELDS else 0

    def insists_on_order(self, request):
        return 409 if request.document["object_version"] < 3 else 0

    def crashes_on_amounts(self, request):
        return 500 if self.is_proven(request) and self.amount(request) else 0

    def crashes_on_serials(self, request):
        return 500 if self.given(request)["Serial"] and self.a_known_serial(request) else 0

    def is_proven(self, request):
        checks = (self.complete, self.a_number, self.base64_text, self.a_known_serial, self.signed)
        return not any(check(request) for check in checks)

    def refuses_duplicates(self, request):
        if not self.is_proven(request) or self.amount(request):
            return 0
        with self.lock:
            is_new = request.document["event_id"] not in self.seen
            self.seen.add(request.document["event_id"])
        return 0 if is_new else 409

    MISTAKES = {
        "case": reads_case, "content-type": insists_on_spelling, "size": has_little_room, "types": knows_all_types,
        "fields": knows_all_fields, "versions": insists_on_order, "crashes": crashes_on_amounts,
        "duplicates": refuses_duplicates, "serials": crashes_on_serials,
    }  # fmt: skip
