"""Many processes on one rule, and a store that forgets its scripts."""

import itertools
import multiprocessing

import pytest

from openplatform import store as stores
from openplatform.limits import Pace, counting, reserve
from openplatform.store import store
from tests.openplatform.limits.asking import a_tally

PROCESSES, EACH = 8, 200
forked = multiprocessing.get_context("fork")


def together(work):
    """What `work` gives in each of eight processes that begin at the same moment."""
    start, answers = forked.Barrier(PROCESSES), forked.SimpleQueue()

    def run():
        stores._client.cache_clear()
        start.wait()
        try:
            answers.put(work())
        except Exception as error:  # noqa: BLE001 - a process that says nothing would be waited for without end
            answers.put(repr(error))

    processes = [forked.Process(target=run) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    given = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    return given


@pytest.mark.parametrize(
    "rule",
    [("fixed", 500, 86_400, 0), ("cells", 500, 600, 10), ("token", 1, 86_400, 500), ("leaky", 1, 86_400, 500)],
    ids=lambda rule: rule[0],
)
def test_eight_processes_at_once_get_exactly_the_limit_and_not_one_more(rule, settings):
    settings.REDIS_TIMEOUT_S = 5.0  # eight processes share a core or two
    algorithm, limit, period_s, size = rule
    tally = a_tally(algorithm, limit=limit, period_s=period_s, size=size)
    admitted = together(lambda: sum(not counting.count([tally]).is_denied for _ in range(EACH)))
    assert sum(admitted) == 500
    assert len(admitted) == PROCESSES


def test_a_store_that_has_forgotten_its_scripts_is_given_them_again():
    tally = a_tally("cells", limit=3, size=6)
    counting.count([tally])
    with store() as client:
        client.script_flush()
    verdict = counting.count([tally])
    assert verdict.standings[0].remaining == 1, "counted on"
    assert not stores.circuit._closed_again_at


def test_eight_processes_are_given_turns_that_are_an_interval_apart(settings):
    settings.REDIS_TIMEOUT_S = 5.0
    pace = Pace(calls=1, period_s=60, wait_max_s=60 * PROCESSES * 20)
    waits = sorted(
        wait for given in together(lambda: [reserve("pace-of-eight", pace) for _ in range(20)]) for wait in given
    )
    assert len(waits) == 160
    assert all(later - earlier > 50 for earlier, later in itertools.pairwise(waits)), "60 s, less the time it took"
