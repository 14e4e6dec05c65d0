from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idgen import InvalidIdError, from_base32, from_str, parse, to_base32, to_str
from idgen.errors import EpochExhausted
from idgen.layout import EPOCH, EPOCH_MS, ID_MAX, TIME_MAX_MS, block_base

ids = st.integers(min_value=1, max_value=ID_MAX)


def test_the_epoch_in_milliseconds_is_the_epoch_in_words():
    assert int(EPOCH.timestamp() * 1000) == EPOCH_MS


def test_the_time_runs_out_in_september_2094():
    assert (
        datetime.fromtimestamp(TIME_MAX_MS / 1000, tz=UTC).isoformat(timespec="seconds") == "2094-09-07T15:47:35+00:00"
    )


def test_an_id_says_when_by_which_worker_on_which_lane_it_was_made():
    number = block_base(at_ms=EPOCH_MS + 86_400_123, worker_id=1023, lane=3) + 1023
    parts = parse(number)
    assert parts.at == datetime(2025, 1, 2, 0, 0, 0, 123_000, tzinfo=UTC)
    assert parts[1:] == (1023, 3, 1023)


def test_the_last_id_of_all_is_the_largest_signed_64_bit_number():
    assert block_base(at_ms=TIME_MAX_MS, worker_id=1023, lane=3) + 1023 == ID_MAX


def test_a_millisecond_beyond_the_41_bits_is_refused_not_wrapped():
    with pytest.raises(EpochExhausted):
        block_base(at_ms=TIME_MAX_MS + 1, worker_id=0, lane=0)


@pytest.mark.parametrize(
    ("at_ms", "worker_id", "lane"), [(EPOCH_MS - 1, 0, 0), (EPOCH_MS, 1024, 0), (EPOCH_MS, -1, 0), (EPOCH_MS, 0, 4)]
)
def test_a_field_that_is_too_wide_never_spills_into_its_neighbour(at_ms, worker_id, lane):
    with pytest.raises(ValueError, match="does not fit"):
        block_base(at_ms=at_ms, worker_id=worker_id, lane=lane)


@given(ids)
def test_decimal_text_reads_back(number):
    assert from_str(to_str(number), now_ms=TIME_MAX_MS) == number


@given(ids)
def test_base32_reads_back_and_sorts_like_the_number(number):
    text = to_base32(number)
    assert len(text) == 13
    assert from_base32(text) == number
    assert from_base32(text.lower().replace("0", "o").replace("1", "l")) == number
    assert (to_base32(max(1, number - 1)) <= text) is True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "+1",
        "01",
        " 1",
        "1 ",
        "1\n",
        "1_0",
        "1.0",
        "1e3",
        "0x1",
        "٣",
        "１２",
        str(ID_MAX + 1),
        "9" * 20,
        "abc",
    ],
)
def test_text_that_is_not_exactly_an_id_is_refused(text):
    with pytest.raises(InvalidIdError):
        from_str(text)


@pytest.mark.parametrize("text", ["", "0" * 13, "Z" * 13, "0" * 12 + "U", "0" * 12, "0" * 12 + "１"])
def test_base32_that_is_not_exactly_an_id_is_refused(text):
    with pytest.raises(InvalidIdError):
        from_base32(text)


@pytest.mark.parametrize("number", [0, -1, ID_MAX + 1])
def test_a_number_outside_63_bits_has_no_text(number):
    for form in (to_str, to_base32, parse):
        with pytest.raises(InvalidIdError):
            form(number)


def test_an_id_from_more_than_an_hour_ahead_is_refused():
    now_ms = EPOCH_MS + 1_000_000
    hour = 3_600_000
    assert from_str(str(block_base(at_ms=now_ms + hour, worker_id=1, lane=0)), now_ms=now_ms)
    with pytest.raises(InvalidIdError):
        from_str(str(block_base(at_ms=now_ms + hour + 1, worker_id=1, lane=0)), now_ms=now_ms)
