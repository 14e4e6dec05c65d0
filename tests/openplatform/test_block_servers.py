"""The blacklist in two real web processes behind a proxy: in force in both, and one row when both cross the line."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from openplatform.models import AppAddress, BlockEntry, ListMarker
from tests.openplatform import harness
from tests.openplatform.servers import raw_request, speak, two_processes

ECHO = "/openapi/v1/echo"
IN_FORCE_AFTER_S = 5.0


pytestmark = pytest.mark.django_db(transaction=True)


class Served:
    """Two processes that believe one proxy, and a merchant that calls them from wherever a test says."""

    def __init__(self, port: int, caller: harness.Caller) -> None:
        self.port, self.caller = port, caller

    def ask(self, address: str, *, forged: bool = False) -> str:
        signed = ECHO + "/x" if forged else ECHO
        request = raw_request(
            "GET", ECHO, authorization=self.caller.authorization("GET", signed),
            headers=[f"X-Forwarded-For: 9.9.9.9, {address}"],
        )  # fmt: skip
        status, _headers, body = speak(self.port, request)
        return "ok" if status == 200 else json.loads(body)["code"]

    def ask_both(self, address: str, *, times: int = 16, forged: bool = False) -> Counter:
        """So many at once that both processes answer some."""
        with ThreadPoolExecutor(8) as pool:
            return Counter(pool.map(lambda _number: self.ask(address, forged=forged), range(times)))


@pytest.fixture(scope="module")
def port(django_db_setup):
    with two_processes(master_key=settings.MASTER_KEY, TRUSTED_PROXY_COUNT="1") as port:
        yield port


@pytest.fixture
def served(port, platform_key):
    return Served(port, harness.Caller(harness.an_app()))


def block(kind, text):
    return BlockEntry.block(kind=kind, text=text, reason="abuse", by="olga", now=timezone.now())


def test_what_is_blocked_and_what_is_lifted_is_so_in_both_processes_within_five_seconds(served):
    app = served.caller.app
    assert served.ask_both("1.1.1.1") == {"ok": 16}
    entries = [block("cidr", "1.1.1.0/24"), block("ip", "2400:cb00::1")]
    place = AppAddress.allow(app=app, text="1.0.0.0/8", reason="till", by="olga", now=timezone.now())
    time.sleep(IN_FORCE_AFTER_S)
    assert served.ask_both("1.1.1.1") == {"BLACKLISTED": 16}
    assert served.ask_both("2400:cb00::1") == {"BLACKLISTED": 16}
    assert served.ask_both("2400:cb00::2") == {"IP_NOT_ALLOWED": 16}
    assert served.ask_both("1.1.2.1") == {"ok": 16}

    for entry in (*entries, place):
        entry.lift(by="olga", now=timezone.now())
    entry = block("app", str(app.pk))
    time.sleep(IN_FORCE_AFTER_S)
    assert served.ask_both("1.1.1.1") == {"BLACKLISTED": 16}
    entry.lift(by="olga", now=timezone.now())
    time.sleep(IN_FORCE_AFTER_S)
    assert served.ask_both("1.1.1.1") == {"ok": 16}


def test_when_both_processes_cross_the_line_there_is_one_row_and_both_obey_it(served):
    for address in ("1.2.3.1", "1.2.3.2", "1.2.3.3"):
        served.ask_both(address, times=100, forged=True)
        assert BlockEntry.objects.filter(source="auto", value=address).count() == 1, address
    time.sleep(IN_FORCE_AFTER_S)
    for address in ("1.2.3.1", "1.2.3.2", "1.2.3.3"):
        assert served.ask_both(address, forged=True) == {"BLACKLISTED": 16}
        assert served.ask_both(address) == {"ok": 16}, "the merchant whom they named, behind their own address"
    assert served.ask_both("1.2.3.4") == {"ok": 16}


@contextmanager
def lists_that_cannot_be_read():
    """Somebody holds the table: whoever asks waits until its lock_timeout, and gets an error."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        cursor.execute(f"LOCK TABLE {ListMarker._meta.db_table} IN ACCESS EXCLUSIVE MODE")
        yield


def test_while_the_lists_cannot_be_read_the_last_ones_stay_in_force(served):
    entry = block("ip", "1.3.3.7")
    time.sleep(IN_FORCE_AFTER_S)
    assert served.ask_both("1.3.3.7") == {"BLACKLISTED": 16}
    with lists_that_cannot_be_read():
        for _ in range(3):
            time.sleep(3)
            assert served.ask_both("1.3.3.7") == {"BLACKLISTED": 16}
            assert served.ask_both("1.3.3.8") == {"ok": 16}
    entry.lift(by="olga", now=timezone.now())
    time.sleep(IN_FORCE_AFTER_S)
    served.ask_both("1.3.3.8")  # after a failure one request asks the database, and nobody waits for its answer
    assert served.ask_both("1.3.3.7") == {"ok": 16}
