"""Limits in two real web processes: a rule edited in the console, and a store that freezes, restarts and comes back."""

import signal
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from config.runtime.valkey import Valkey
from openplatform.keys import LIFETIME
from openplatform.models import PlatformKey, RateRule
from openplatform.models.keys import PlatformKeyStatus
from openplatform.models.limits import RuleTerms
from tests.openplatform import harness
from tests.openplatform.servers import raw_request, speak, two_processes

ECHO = "/openapi/v1/echo"
PATIENCE_S = (
    1.0  # a machine that is busy with other tests may be slow, but not as slow as a client that hangs or retries
)


@dataclass
class Served:
    port: int
    caller: harness.Caller
    valkey: Valkey


@pytest.fixture(scope="module")
def valkey():
    """A store of our own, to be stopped and frozen; in a short path, for a socket's name is short."""
    with tempfile.TemporaryDirectory(prefix="fp-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        server = Valkey(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="module")
def served(django_db_setup, django_db_blocker, pair, valkey):
    with django_db_blocker.unblock():
        now = timezone.now()
        PlatformKey.publish(pair=pair, status=PlatformKeyStatus.CURRENT, now=now, lifetime=LIFETIME)
        caller = harness.Caller(harness.an_app())
        RateRule.objects.all().delete()
        terms = RuleTerms(scope="app", algorithm="cells", limit=1_000_000, period_s=60, cells=6)
        RateRule.add(terms, by="tester", now=now)
        with two_processes(master_key=settings.MASTER_KEY, redis_url=f"unix://{valkey.socket}") as port:
            yield Served(port=port, caller=caller, valkey=valkey)
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE openplatform_merchant, openplatform_platformkey CASCADE")
        User.objects.all().delete()
        connection.close()


@pytest.fixture
def db(served, django_db_blocker):
    """Outside any transaction, so that the two processes see what a test writes."""
    with django_db_blocker.unblock():
        yield


def ask(served, method="GET"):
    """(status, headers, seconds) of one signed request on a connection of its own."""
    body = b"{}" if method == "POST" else b""
    request = raw_request(method, ECHO, body, authorization=served.caller.authorization(method, ECHO, body))
    began = time.monotonic()
    status, headers, _body = speak(served.port, request)
    return status, headers, time.monotonic() - began


def ask_at_once(served, count=16):
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: ask(served), range(count)))


class Load:
    """Two readers and two writers, who note every answer and how long it took."""

    def __init__(self, served):
        self.served, self.answers, self.is_over = served, [], threading.Event()
        methods = ("GET", "GET", "POST", "POST")
        self.threads = [threading.Thread(target=self._run, args=[method]) for method in methods]

    def _run(self, method):
        while not self.is_over.is_set():
            status, _headers, seconds = ask(self.served, method)
            self.answers.append((method, status, seconds))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_exception):
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def since(self, start):
        """Counts by method and status of what was answered after the `start`th, and the slowest."""
        answers = self.answers[start:]
        return Counter(answer[:2] for answer in answers), max(seconds for *_rest, seconds in answers)

    def during(self, seconds):
        start = len(self.answers)
        time.sleep(seconds)
        return self.since(start)


def is_well(served):
    """Everything is answered again once each process has asked the store anew."""
    deadline = time.monotonic() + 10
    while any(ask(served, "POST")[0] != 201 for _ in range(6)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return True


def test_a_frozen_store_costs_no_reader_his_answer_and_nobody_a_second(served, db):
    assert is_well(served)
    with Load(served) as load:
        before, _slowest = load.during(1.0)
        assert set(before) == {("GET", 200), ("POST", 201)}
        served.valkey.child.send_signal(signal.SIGSTOP)
        try:
            frozen, slowest = load.during(2.5)
        finally:
            served.valkey.child.send_signal(signal.SIGCONT)
        assert {answer for answer in frozen if answer[0] == "GET"} == {("GET", 200)}
        assert frozen["POST", 503] > 0
        assert set(frozen) <= {("GET", 200), ("POST", 503), ("POST", 201)}
        assert slowest < PATIENCE_S
    assert is_well(served)


def test_a_store_that_stops_and_starts_again_under_load_is_found_again_with_its_scripts(served, db):
    assert is_well(served)
    with Load(served) as load:
        load.during(0.5)
        served.valkey.stop()
        stopped, slowest = load.during(2.0)
        assert slowest < PATIENCE_S
        assert stopped["GET", 200] > 0
        assert stopped["POST", 503] > 0
        assert set(stopped) <= {("GET", 200), ("POST", 503), ("POST", 201)}
        served.valkey.launch()
        time.sleep(1.2)
        after, slowest = load.during(1.0)
        assert set(after) == {("GET", 200), ("POST", 201)}
        assert slowest < PATIENCE_S


def test_a_rule_that_is_edited_in_the_console_is_in_force_in_both_processes_within_five_seconds(served, db):
    assert is_well(served)
    rule = RateRule.objects.get()
    console = Client()
    console.force_login(User.objects.create_superuser("chief", password="x"))
    form = {
        "scope": "app", "route": "", "app": "", "algorithm": "fixed", "limit": 5, "period_s": 86_400, "burst": "",
        "cells": "", "enabled": "on", "version": rule.version,
    }  # fmt: skip
    assert {headers["RateLimit-Policy"] for _status, headers, _s in ask_at_once(served)} == {'"app-60s";q=1000000;w=60'}
    answer = console.post(reverse("admin:openplatform_raterule_change", args=[rule.pk]), form)
    assert answer.status_code == 302
    time.sleep(5.0)
    answers = ask_at_once(served)
    assert {headers["RateLimit-Policy"] for _status, headers, _s in answers} == {'"app-86400s";q=5;w=86400'}
    assert Counter(status for status, _headers, _s in answers) == {200: 5, 429: 11}
