"""The rollback ladder, rung by rung, on a clock that the test moves."""

from collections import Counter
from itertools import pairwise

import pytest

from idgen import ClockRollback, ClockSkew, EpochExhausted, Generator, LeaseLost, NoWorker, WindowExhausted, parse
from idgen.layout import IDS_PER_MS, TIME_MAX_MS, time_ms
from idgen.timeline import BORROW_MAX_MS
from tests.idgen.fakes import START_MS, Clock, MemoryLeases, Renewing, make_generator, rate


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def leases(clock):
    return MemoryLeases(clock=clock)


@pytest.fixture
def generator(clock, leases):
    return make_generator(clock, leases)


def drain(generator, count):
    while count > 0:
        count -= len(generator.next_ids(min(count, 10_000)))


def is_rising(ids):
    return all(left < right for left, right in pairwise(ids))


def test_ids_carry_the_wall_clock_at_low_load(clock, generator):
    for _ in range(100):
        assert time_ms(generator.next_id()) == int(clock.wall() * 1000)
        clock.advance(2)
    assert generator.health()["rung"] == "normal"


def test_a_frozen_millisecond_borrows_five_more_and_touches_no_other_workers_bit(clock, generator):
    clock.frozen_wall_ms = float(START_MS)
    ids = [generator.next_id() for _ in range(20_000)]
    assert is_rising(ids)
    assert {parse(number).worker_id for number in ids} == {0}
    assert max(map(time_ms, ids)) - START_MS <= BORROW_MAX_MS
    assert clock.sleeps == 0


def test_a_frozen_clock_is_refused_after_a_bounded_wait(clock, generator):
    clock.frozen_wall_ms = float(START_MS)
    with pytest.raises(ClockRollback):
        drain(generator, IDS_PER_MS * (BORROW_MAX_MS + 1) + 1)
    assert clock.sleeps <= 50


def test_saturation_waits_a_millisecond_at_a_time_and_never_borrows_more_than_five(clock, generator):
    ids = [generator.next_id() for _ in range(IDS_PER_MS * 100)]
    assert is_rising(ids)
    assert generator.health()["borrowed_ms_max"] <= BORROW_MAX_MS
    assert 90 <= clock.true_ms - START_MS <= 110


@pytest.mark.parametrize("step_ms", [1, 4, 5, 6, 300, 1_000, 1_999, 2_000])
@pytest.mark.parametrize("every_ms", [5, 0.2, 0.01])  # 200, 5,000 and 100,000 ids/s
def test_no_step_back_of_up_to_two_seconds_waits_refuses_or_disorders(clock, generator, step_ms, every_ms):
    before = rate(clock, generator.next_id, ids=1_000, every_ms=every_ms)
    generator.renew()
    clock.step(-step_ms)
    after = rate(clock, generator.next_id, ids=int(min(20_000, 2 * step_ms / every_ms + 200)), every_ms=every_ms)
    assert is_rising(before + after)
    assert generator.health()["waits_total"] == clock.sleeps == 0
    assert generator.health()["rungs"]["lane"] == generator.health()["rungs"]["refuse"] == 0


def test_a_hold_ends_when_the_wall_clock_has_caught_up(clock, generator):
    rate(clock, generator.next_id, ids=10, every_ms=1)
    clock.step(-1_000)
    rate(clock, generator.next_id, ids=10, every_ms=1)
    assert generator.health()["rung"] == "hold"
    clock.advance(1_000)
    assert time_ms(generator.next_id()) == int(clock.wall() * 1000)
    assert generator.health()["rung"] == "normal"
    assert generator.health()["rollback_ms_max"] == 999


def test_saturation_in_a_hold_walks_no_faster_than_real_time(clock, generator):
    rate(clock, generator.next_id, ids=10, every_ms=1)
    clock.step(-1_500)
    began_ms = clock.true_ms
    ids = [generator.next_id() for _ in range(IDS_PER_MS * 200)]
    assert is_rising(ids)
    assert clock.true_ms - began_ms >= 190
    assert time_ms(ids[-1]) - clock.true_ms <= 2 * BORROW_MAX_MS


def test_two_steps_back_of_300_ms_over_the_same_stretch_make_no_duplicate(clock, generator):
    ids = []
    for _ in range(3):
        ids += rate(clock, generator.next_id, ids=400, every_ms=1)
        clock.step(-300)
    assert len(set(ids)) == len(ids) == 1_200


def test_five_steps_back_of_a_second_each_at_ten_thousand_ids_a_second_make_no_duplicate(clock, generator):
    """A rule that keeps four numbers of the sequence for such cases, and uses them in turn, repeats them here."""
    ids = rate(clock, generator.next_id, ids=10_000, every_ms=0.1)
    for _ in range(5):
        clock.step(-1_000)
        ids += rate(clock, generator.next_id, ids=10_000, every_ms=0.1)
    assert len(set(ids)) == 60_000


def test_a_leap_second_is_a_second_that_the_wall_clock_shows_twice_and_nothing_special(clock, generator):
    before = rate(clock, generator.next_id, ids=1_000, every_ms=1)
    clock.step(-1_000)
    after = rate(clock, generator.next_id, ids=1_500, every_ms=1)
    assert is_rising(before + after)
    assert clock.sleeps == 0
    assert time_ms(after[-1]) == int(clock.wall() * 1000) - 1


def up_for(clock, generator, ms):
    """Let the process be `ms` old, so that its floor is that long ago."""
    ids = [generator.next_id()]
    Renewing(clock, generator).advance(ms)
    return ids


def test_a_large_step_back_goes_to_a_fresh_lane_at_the_wall_clocks_time(clock, generator):
    ids = up_for(clock, generator, 4_000_000)
    ids += rate(clock, generator.next_id, ids=500, every_ms=1)
    clock.step(-3_600_000)
    after = rate(clock, generator.next_id, ids=500, every_ms=1)
    assert generator.health()["rung"] == "lane"
    assert generator.health()["spare_worker_id"] is None
    assert [time_ms(number) for number in after] == [int(clock.wall() * 1000) - 500 + i for i in range(500)]
    assert {parse(number).lane for number in after} == {1}
    assert len(set(ids + after)) == len(ids) + len(after)


def test_a_thousand_ids_a_millisecond_survive_an_hour_back_without_a_refusal(clock, generator):
    ids = up_for(clock, generator, 4_000_000)
    for step_ms in (3_600_000, 0):
        for _ in range(300):
            ids += generator.next_ids(1_000)
            clock.advance(1)
        clock.step(-step_ms)
    assert len(set(ids)) == len(ids)
    assert generator.health()["rungs"]["refuse"] == 0


def test_steps_over_the_same_stretch_use_one_lane_each_and_then_a_spare_worker(clock, generator):
    ids, used = up_for(clock, generator, 60_000), []
    for _ in range(5):
        made = rate(clock, generator.next_id, ids=100, every_ms=1)
        used.append({(parse(number).worker_id, parse(number).lane) for number in made})
        ids += made
        clock.step(-5_000)
    assert used == [{(0, 0)}, {(0, 1)}, {(0, 2)}, {(0, 3)}, {(1, 0)}]
    assert len(set(ids)) == len(ids)


def use_every_lane(generator):
    """A burst of one full millisecond: after it a large step back finds no lane free."""
    return generator.next_ids(IDS_PER_MS)


def test_when_every_lane_is_ahead_a_spare_worker_id_serves_until_the_clock_recovers(clock, leases, generator):
    ids = use_every_lane(generator)
    clock.step(-30_000)
    ids += rate(clock, generator.next_id, ids=100, every_ms=1)
    health = generator.health()
    assert (health["rung"], health["worker_id"], health["spare_worker_id"]) == ("spare", 0, 1)
    assert {parse(number).worker_id for number in ids[IDS_PER_MS:]} == {1}
    clock.step(+30_000)
    ids.append(generator.next_id())
    assert parse(ids[-1]).worker_id == 0
    generator.renew()
    assert leases.rows_by_id[1]["holder"] == ""
    assert leases.rows_by_id[1]["mark_ms"] == time_ms(ids[-2])
    assert len(set(ids)) == len(ids)


def test_without_a_lane_and_without_a_spare_it_refuses_and_recovers(clock):
    leases = MemoryLeases(clock=clock, workers=1)
    generator = make_generator(clock, leases)
    use_every_lane(generator)
    clock.step(-30_000)
    for _ in range(3):
        with pytest.raises(ClockRollback):
            generator.next_id()
    clock.step(+30_000)
    clock.advance(1)
    assert time_ms(generator.next_id()) == int(clock.wall() * 1000)


def test_a_dead_store_is_asked_for_a_spare_once_a_second_not_once_per_id(clock, leases, generator):
    use_every_lane(generator)
    clock.step(-30_000)
    leases.is_down = True
    asked = []
    leases.view = lambda _: pytest.fail("a second store was opened")
    original = generator._leasing.store.acquire
    generator._leasing.store.acquire = lambda **named: asked.append(1) or original(**named)
    for _ in range(1_000):
        with pytest.raises(ClockRollback):
            generator.next_id()
    assert len(asked) == 1


def test_a_clock_that_jumps_ahead_is_clamped_to_the_reserved_window(clock, leases, generator):
    generator.next_id()
    mark_ms = leases.rows_by_id[0]["mark_ms"]
    clock.step(365 * 86_400_000)
    ids = rate(clock, generator.next_id, ids=1_000, every_ms=0.1)
    assert max(map(time_ms, ids)) <= mark_ms
    assert generator.health()["clamped_total"] > 0
    clock.step(-365 * 86_400_000)
    more = rate(clock, generator.next_id, ids=1_000, every_ms=0.1)
    assert len(set(ids + more)) == 2_000
    generator.renew()
    assert leases.rows_by_id[0]["mark_ms"] <= clock.true_ms + leases.timing.window_ms


def test_a_clamped_generator_refuses_when_the_window_is_used_up_and_goes_on_after_a_renewal(clock, leases, generator):
    generator.next_id()
    clock.step(86_400_000)
    with pytest.raises(WindowExhausted):  # 12 s of reserved time, taken without any passing
        drain(generator, IDS_PER_MS * (leases.timing.window_ms + 2))
    clock.advance(3_300)
    generator.renew()
    generator.next_id()


def test_a_lease_that_is_not_renewed_stops_at_ttl_minus_margin_exactly(clock, leases, generator):
    generator.next_id()
    leases.is_down = True
    clock.advance(7_999)
    generator.renew()
    generator.next_id()
    clock.advance(1)
    generator.renew()
    with pytest.raises(LeaseLost):
        generator.next_id()
    leases.is_down = False
    generator.renew()
    assert generator.health()["worker_id"] == 0  # nobody took it: the same lease goes on


def test_a_lease_that_the_store_gave_away_is_dropped_at_once_and_another_id_is_leased(clock, leases, generator):
    first = generator.next_id()
    leases.rows_by_id[0] |= {"holder": "somebody else", "fence": 99}
    generator.renew()
    clock.advance(1)
    second = generator.next_id()
    assert (parse(first).worker_id, parse(second).worker_id) == (0, 1)
    assert generator.health()["lost_total"] == 1


@pytest.mark.parametrize("skew_ms", [-5_001, 5_001])
def test_no_lease_is_taken_while_the_wall_clock_is_five_seconds_off_the_stores(clock, leases, generator, skew_ms):
    clock.step(skew_ms)
    with pytest.raises(ClockSkew):
        generator.next_id()
    assert leases.rows_by_id[0]["holder"] == ""
    clock.step(-skew_ms)
    generator.next_id()


def test_a_process_that_cannot_ask_the_store_at_its_start_gets_no_id_whatever_it_may_remember(clock, leases):
    """A file with the last worker id, as others keep for that case, is how a check gets lost."""
    before = make_generator(clock, leases).next_id()
    leases.is_down = True
    restarted = make_generator(clock, leases)
    for _ in range(2):
        with pytest.raises(NoWorker, match="the store is down"):
            restarted.next_id()
    leases.is_down = False
    clock.advance(1)
    assert parse(restarted.next_id()).worker_id != parse(before).worker_id


def test_no_free_worker_id_is_said_so(clock):
    leases = MemoryLeases(clock=clock, workers=2)
    for generator in [make_generator(clock, leases) for _ in range(2)]:
        generator.next_id()
    with pytest.raises(NoWorker):
        make_generator(clock, leases).next_id()


def test_a_successor_whose_floor_is_a_second_ahead_holds_above_it(clock):
    leases = MemoryLeases(clock=clock, workers=1)
    first, second = make_generator(clock, leases), make_generator(clock, leases)
    before = first.next_id()
    clock.advance(11_001)  # the holder died; its window reaches 12 s from its last renewal
    after = rate(clock, second.next_id, ids=2_000, every_ms=0.01)
    assert min(map(time_ms, after)) > START_MS + 12_000
    assert is_rising([before, *after])
    assert clock.sleeps == 0


def test_a_released_worker_id_goes_on_above_its_last_id_at_once(clock):
    leases = MemoryLeases(clock=clock, workers=1)
    first, second = make_generator(clock, leases), make_generator(clock, leases)
    before = first.next_ids(10)
    first.close()
    after = second.next_ids(10)
    assert parse(after[0]).worker_id == 0
    assert is_rising(before + after)


@pytest.mark.parametrize("count", [0, -1, 10_001])
def test_a_batch_has_bounds(generator, count):
    with pytest.raises(ValueError, match="a batch is"):
        generator.next_ids(count)


def test_an_outage_of_the_store_is_one_warning_and_its_end_another(clock, leases, generator, caplog):
    generator.next_id()
    leases.is_down = True
    for _ in range(20):
        generator.renew()
        clock.advance(100)
    leases.is_down = False
    generator.renew()
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2
    assert "not renewed, 8.0 s left" in warnings[0]
    assert warnings[1] == "worker 0 renewed again"


def test_the_end_of_the_41_bits_is_an_error_with_a_name(clock, leases, generator):
    clock.advance(TIME_MAX_MS - clock.true_ms)
    assert time_ms(generator.next_id()) == TIME_MAX_MS
    clock.advance(1)
    with pytest.raises(EpochExhausted):
        generator.next_id()


def test_a_clock_before_the_epoch_makes_no_negative_id(clock, leases, generator):
    use_every_lane(generator)
    clock.frozen_wall_ms = 0.0
    with pytest.raises(ClockRollback):
        generator.next_id()


def test_a_renewal_thread_that_died_is_replaced_when_its_lease_has_run_out(clock, leases):
    generator = Generator(
        open_store=lambda: leases.view(clock), clock=clock.wall, monotonic=clock.monotonic, sleep=clock.sleep
    )
    generator.next_id()
    keeper = generator._leasing._keeper
    generator._leasing._keeper = None  # it ends when it sees that it is not the one any more
    generator._leasing._wake.set()
    keeper.join(5)
    clock.advance(12_000)
    generator.next_id()
    assert generator._leasing._keeper.is_alive()
    generator.close()


def test_full_load_serves_the_milliseconds_that_the_scheduler_took_away(clock, generator):
    ids = generator.next_ids(2 * IDS_PER_MS)
    clock.advance(10)
    for _ in range(4):
        ids += generator.next_ids(2 * IDS_PER_MS)
    assert is_rising(ids)
    per_ms = Counter(map(time_ms, ids))
    assert list(per_ms.values())[1:-1] == [IDS_PER_MS] * (len(per_ms) - 2)
    assert max(per_ms) - min(per_ms) == len(per_ms) - 1
    assert clock.sleeps == 0


def test_after_a_burst_a_lonely_id_carries_the_wall_clocks_time_again(clock, generator):
    generator.next_ids(2 * IDS_PER_MS)
    clock.advance(30)
    for _ in range(5):
        assert time_ms(generator.next_id()) == int(clock.wall() * 1000)
        clock.advance(3)
