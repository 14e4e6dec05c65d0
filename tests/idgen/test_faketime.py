"""A real process whose wall clock is moved from outside by libfaketime; the database keeps the true time."""

import time

import pytest

from idgen.layout import parse, time_ms
from tests.idgen.conftest import execute
from tests.idgen.readings import FAKETIME

TIMING = {"ttl_s": 10.0}


class Shaken:
    """A child process and the file that tells its wall clock."""

    def __init__(self, child, parameters, tmp_path):
        self._file = tmp_path / "offset"
        self.step("+0s")
        self._child = child(
            "answer",
            parameters=parameters,
            timing=TIMING,
            background=False,  # libfaketime breaks timed waits of threads; the test renews
            env={
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(self._file),
                "FAKETIME_NO_CACHE": "1",
                "DONT_FAKE_MONOTONIC": "1",
            },
        )

    def step(self, offset):
        self._file.write_text(offset)

    def ids(self, count=200):
        return self._child.ask(str(count))

    def renew(self):
        return self._child.ask("renew")

    def health(self):
        return self._child.ask("health")


@pytest.fixture(autouse=True)
def library(require):
    require(FAKETIME, "libfaketime is not installed (Debian: faketime)")


@pytest.fixture
def shaken(lease_table, child, tmp_path):
    return Shaken(child, lease_table(workers=4), tmp_path)


def test_the_clock_of_the_child_really_moves(shaken):
    shaken.ids(1)
    shaken.step("-3s")
    assert shaken.health()["rollbacks_total"] == 0
    shaken.ids(1)
    assert 2_500 < shaken.health()["rollback_ms_max"] <= 3_000


@pytest.mark.parametrize(("offset", "rung"), [("-1s", "hold"), ("-3s", "lane"), ("-10s", "lane"), ("-1h", "lane")])
def test_a_step_back_of_a_real_clock_refuses_nothing_and_repeats_nothing(shaken, offset, rung):
    made = shaken.ids()
    shaken.step(offset)
    after = shaken.ids()
    assert shaken.health()["rung"] == rung
    shaken.step("+0s")
    made += after + shaken.ids()
    assert len(set(made)) == 600
    assert shaken.health()["rungs"]["refuse"] == 0


def test_a_year_ahead_is_clamped_and_the_mark_moves_no_further_than_the_window(lease_table, child, tmp_path):
    parameters = lease_table(workers=4)
    shaken = Shaken(child, parameters, tmp_path)
    made = shaken.ids()
    shaken.step("+365d")
    made += shaken.ids(10_000)
    shaken.renew()
    made += shaken.ids(10_000)
    now_ms = time.time_ns() // 1_000_000
    assert max(map(time_ms, made)) <= now_ms + 12_000
    [(mark,)] = execute(parameters, "SELECT max(reserved_until_ms) FROM idgen_lease")
    assert mark <= now_ms + 12_000
    shaken.step("+0s")
    made += shaken.ids()
    assert len(set(made)) == len(made)
    assert {parse(number).worker_id for number in made} == {0}


def test_a_process_that_starts_with_a_wrong_clock_gets_no_lease(lease_table, child, tmp_path):
    shaken = Shaken(child, lease_table(workers=4), tmp_path)
    shaken.step("-1h")
    assert shaken.ids(1) == "ClockSkew"
    shaken.step("+0s")
    assert len(shaken.ids(1)) == 1
