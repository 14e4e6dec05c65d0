"""Every amount gives the fen that a person would say."""

import contextlib
import secrets
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments import money

MAX_FEN = 1_000_000_000


@pytest.mark.parametrize(
    ("yuan", "fen"),
    [
        ("40.3", 4030), ("40.30", 4030), (40.3, 4030), (0.1 + 0.2, 30), ("0.30000000000000004", 30), (19.99, 1999),
        ("1.005", 101), (1.005, 101), (4.35, 435), (1.1 * 3, 330), (7, 700), (Decimal("2.675"), 268), ("0.285", 29),
        (-1.005, -101),
    ],
)  # fmt: skip
def test_yuan_become_the_fen_that_a_person_would_say(yuan, fen):
    assert money.fen_from_yuan(yuan) == fen


@pytest.mark.parametrize(
    ("literal", "fen"),
    [
        ("40.3", 4030), ("40.30", 4030), ("0.30000000000000004", 30), ("19.99", 1999), ("4.35", 435),
        ("3.3000000000000003", 330), ("40.299999999999997", 4030), ("1.000", 100), ("007", 700), ("10000000", MAX_FEN),
        ("0.01", 1), ("0.009999999999999998", 1),
    ],
)  # fmt: skip
def test_a_literal_is_read_exactly_and_float_noise_is_taken_off(literal, fen):
    assert money.fen_from_literal(literal, max_fen=MAX_FEN) == fen


@pytest.mark.parametrize(
    ("literal", "error"),
    [
        ("40.305", money.AmountHasPartOfFen), ("1.005", money.AmountHasPartOfFen),
        ("0.001", money.AmountHasPartOfFen), ("40.30000001", money.AmountHasPartOfFen),
        ("-1", money.AmountNegative), ("-0.01", money.AmountNegative), ("-0", money.AmountNegativeZero),
        ("-0.00", money.AmountNegativeZero), ("0", money.AmountZero), ("0.00", money.AmountZero),
        ("10000000.01", money.AmountTooLarge), ("NaN", money.AmountNotFinite), ("Infinity", money.AmountNotFinite),
        ("-Infinity", money.AmountNotFinite), ("1e3", money.AmountHasExponent), ("4.03E+1", money.AmountHasExponent),
        ("４０.３", money.AmountMalformed), ("٤٠", money.AmountMalformed), ("4_0", money.AmountMalformed),
        (" 40", money.AmountMalformed), ("40 ", money.AmountMalformed), ("40\n", money.AmountMalformed),
        ("+40", money.AmountMalformed), (".5", money.AmountMalformed), ("5.", money.AmountMalformed),
        ("", money.AmountMalformed), ("1,000", money.AmountMalformed), ("0x10", money.AmountMalformed),
        ("¥40", money.AmountMalformed), ("1" * 41, money.AmountMalformed),
    ],
)  # fmt: skip
def test_a_literal_that_cannot_be_paid_has_a_named_error(literal, error):
    with pytest.raises(error):
        money.fen_from_literal(literal, max_fen=MAX_FEN)


def test_every_amount_error_has_its_own_reason():
    reasons = [error.reason for error in money.AmountError.__subclasses__()]
    assert len(set(reasons)) == len(reasons) == 8


@pytest.mark.parametrize("stride", [10, pytest.param(1, marks=pytest.mark.soak)])
def test_every_fen_up_to_100_000_yuan_survives_text_and_float(stride):
    """As text with two decimals, and as the float that prints so: another tenth of all in each run, and all of the
    10,000,000 in the long runs.
    """
    from_literal, from_yuan = money.fen_from_literal, money.fen_from_yuan
    for fen in range(1 + secrets.randbelow(stride), 10_000_001, stride):
        whole, rest = divmod(fen, 100)
        if from_literal(f"{whole}.{rest:02d}", max_fen=MAX_FEN) != fen or from_yuan(fen / 100) != fen:
            pytest.fail(f"{fen} fen did not survive")


@given(st.integers(1, MAX_FEN))
def test_any_float_that_prints_with_two_decimals_is_its_fen(fen):
    assert money.fen_from_yuan(fen / 100) == fen
    assert money.fen_from_literal(repr(fen / 100), max_fen=MAX_FEN) == fen


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=100))
def test_a_browser_that_adds_up_a_basket_in_floats_pays_the_basket(prices):
    total = 0.0
    for fen in prices:
        total += fen / 100
    assert money.fen_from_literal(repr(total), max_fen=MAX_FEN) == sum(prices)


@given(st.integers(1, MAX_FEN // 10), st.integers(1, 9))
def test_a_tenth_of_a_fen_is_always_refused(fen, tenth):
    with pytest.raises(money.AmountHasPartOfFen):
        money.fen_from_literal(f"{money.yuan_text(fen)}{tenth}", max_fen=MAX_FEN)


@given(st.integers(-MAX_FEN, MAX_FEN))
def test_yuan_text_always_has_two_decimals_and_reads_back(fen):
    text = money.yuan_text(fen)
    assert len(text.split(".")[1]) == 2
    assert money.fen_from_yuan(text) == fen


@given(st.text(max_size=12))
def test_no_text_makes_anything_but_fen_or_an_amount_error(text):
    with contextlib.suppress(money.AmountError):
        assert 1 <= money.fen_from_literal(text, max_fen=MAX_FEN) <= MAX_FEN
