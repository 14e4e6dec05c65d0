"""The lists as a process has compiled them: what they answer, how old they may be, and what a dead database changes."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from openplatform.blocks import lists
from openplatform.blocks.networks import place_of
from openplatform.caches import clear_all
from openplatform.client_ip import UNKNOWN
from openplatform.models import AppAddress, BlockEntry, ExemptAddress
from tests.openplatform import harness

pytestmark = pytest.mark.django_db

HERE = "198.51.100.7"


@pytest.fixture
def now():
    return timezone.now()


def block(kind, text, *, now, lasts=None):
    return BlockEntry.block(
        kind=kind, text=text, reason="abuse", by="olga", now=now, expires_at=now + lasts if lasts else None
    )


def blocked(address, *, now):
    lists.forget()
    return lists.current_lists().blocks_address(address, now=now)


@pytest.mark.parametrize(
    ("kind", "text"),
    [("ip", HERE), ("ip", "::ffff:198.51.100.7"), ("cidr", "198.51.100.0/24"), ("cidr", "198.0.0.0/8")],
)
def test_an_address_is_blocked_by_itself_or_by_a_network(kind, text, now):
    assert not blocked(HERE, now=now)
    block(kind, text, now=now)
    assert blocked(HERE, now=now)
    assert not blocked("203.0.113.1", now=now)


def test_an_ipv6_network_keeps_out_its_own(now):
    block("cidr", "2001:db8:1::/48", now=now)
    assert blocked("2001:db8:1:2::9", now=now)
    assert not blocked("2001:db8:2::1", now=now)


def test_an_exempt_address_is_kept_out_by_nothing_but_its_own_name(now):
    ExemptAddress.exempt(text="198.51.100.0/28", reason="office", by="olga", now=now)
    block("cidr", "198.51.100.0/24", now=now)
    BlockEntry.block_automatically(network=place_of(HERE), now=now)
    assert not blocked(HERE, now=now)
    assert not lists.current_lists().suspects_address(HERE, now=now)
    assert blocked("198.51.100.99", now=now)
    block("ip", HERE, now=now)
    assert blocked(HERE, now=now)


def test_an_address_that_was_blocked_by_itself_is_suspected_and_not_kept_out(now):
    BlockEntry.block_automatically(network=place_of(HERE), now=now)
    BlockEntry.block_automatically(network=place_of("2001:db8:1:2::/64"), now=now)
    assert not blocked(HERE, now=now)
    suspects = lists.current_lists().suspects_address
    assert [suspects(text, now=now) for text in (HERE, "2001:db8:1:2::9", "203.0.113.1", UNKNOWN)] == [
        True, True, False, False,
    ]  # fmt: skip
    block("ip", HERE, now=now)
    assert blocked(HERE, now=now), "a person decides for everybody there"


def test_a_caller_without_an_address_that_we_know_is_not_blocked(now):
    block("cidr", "0.0.0.0/8", now=now)
    assert not blocked(UNKNOWN, now=now)


def test_an_entry_ends_by_time_without_being_read_again(now, django_assert_num_queries):
    block("ip", HERE, now=now, lasts=timedelta(minutes=10))
    block("cidr", "203.0.113.0/24", now=now, lasts=timedelta(minutes=10))
    block("payer_hash", "o-payer-1", now=now, lasts=timedelta(minutes=10))
    block("notify_host", "shop.example.com", now=now, lasts=timedelta(minutes=10))
    compiled = lists.current_lists()
    with django_assert_num_queries(0):
        for at, expected in ((timedelta(minutes=9, seconds=59), True), (timedelta(minutes=10), False)):
            assert compiled.blocks_address(HERE, now=now + at) is expected
            assert compiled.blocks_address("203.0.113.200", now=now + at) is expected
            assert compiled.blocks_payer("o-payer-1", now=now + at) is expected
            assert compiled.blocks_host("shop.example.com", now=now + at) is expected


def test_a_host_is_blocked_with_every_name_below_it(now):
    block("notify_host", "shop.example.com", now=now)
    block("notify_host", HERE, now=now)
    compiled = lists.current_lists()
    for host in ("shop.example.com", "n.shop.example.com", "a.b.shop.example.com", HERE, "[::ffff:c633:6407]"):
        assert compiled.blocks_host(host, now=now), host
    for host in ("example.com", "myshop.example.com", "shop.example.com.evil.example", "198.51.100.8", ""):
        assert not compiled.blocks_host(host, now=now), host


def test_an_app_that_named_no_address_calls_from_everywhere_and_one_that_did_from_there(now):
    app, other = harness.an_app(), harness.an_app()
    entry = AppAddress.allow(app=app, text="198.51.100.0/24", reason="till", by="olga", now=now)
    compiled = lists.current_lists()
    assert compiled.lets_in(app_id=app.pk, address=HERE, now=now)
    assert not compiled.lets_in(app_id=app.pk, address="203.0.113.1", now=now)
    assert not compiled.lets_in(app_id=app.pk, address=UNKNOWN, now=now)
    assert compiled.lets_in(app_id=other.pk, address="203.0.113.1", now=now)
    entry.lift(by="olga", now=now)
    lists.forget()
    assert lists.current_lists().lets_in(app_id=app.pk, address="203.0.113.1", now=now)


# --- how old, and at what price --------------------------------------------------------------------------------------


def test_a_question_costs_no_query_and_an_unchanged_list_costs_one(now, django_assert_num_queries):
    block("ip", HERE, now=now)
    with django_assert_num_queries(5):  # the marker and four lists
        lists.current_lists()
    with django_assert_num_queries(0):
        for _ in range(100):
            lists.current_lists().blocks_address(HERE, now=now)
    lists.forget()
    with django_assert_num_queries(1):
        lists.current_lists()


def test_a_change_is_seen_when_the_time_is_over_and_not_before(now, monkeypatch):
    assert not lists.current_lists().blocks_address(HERE, now=now)
    block("ip", HERE, now=now)
    real = time.monotonic
    assert not lists.current_lists().blocks_address(HERE, now=now)
    monkeypatch.setattr(time, "monotonic", lambda: real() + lists.REFRESH_S)
    assert lists.current_lists().blocks_address(HERE, now=now)


@contextmanager
def database_away():
    """Every statement fails as on a lost connection."""

    def refuse(*_args):
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(refuse):
        yield


def test_with_the_database_away_what_was_read_last_stays_in_force(now, caplog):
    block("ip", HERE, now=now)
    lists.current_lists()
    lists.forget()
    with database_away():
        for _ in range(10):
            assert lists.current_lists().blocks_address(HERE, now=now)
    assert len([record for record in caplog.records if "stays in force" in record.message]) == 1, "asked once, not 10x"


def test_a_process_that_has_never_read_the_lists_lets_nobody_in(now):
    clear_all()
    with database_away(), pytest.raises(OperationalError):
        lists.current_lists()
    assert not lists.current_lists().blocks_address(HERE, now=now), "and reads them as soon as it can"


def test_a_row_that_somebody_wrote_by_hand_does_not_take_the_lists_away(now, caplog):
    block("ip", HERE, now=now)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO openplatform_exemptaddress (value, reason, created_by, created_at, lifted_by)"
            " VALUES ('the office', 'x', 'psql', now(), '')"
        )
    clear_all()
    assert lists.current_lists().blocks_address(HERE, now=now)
    assert "the office" in caplog.text


def test_nobody_goes_on_with_an_old_list_while_the_database_answers(now):
    """A process that had nothing to do has an old list: all requests that wake it wait for the new one."""
    block("ip", HERE, now=now)
    lists.current_lists()
    lists.forget()
    with ThreadPoolExecutor(4) as pool:
        with lists._reading:  # somebody reads
            waiting = [pool.submit(lists.current_lists) for _ in range(4)]
            time.sleep(0.05)
            assert not any(future.done() for future in waiting)
            read = replace(lists._last.get("all"))
            lists._fresh.put("all", read, read_at=time.monotonic())
        assert all(future.result(timeout=5) is read for future in waiting)


def test_nobody_waits_for_a_database_that_has_just_failed(now):
    block("ip", HERE, now=now)
    known = lists.current_lists()
    lists.forget()
    with database_away():
        lists.current_lists()
    lists._fresh.clear()
    with lists._reading, ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(lists.current_lists) for _ in range(4)]
        assert all(future.result(timeout=5) is known for future in asked)
