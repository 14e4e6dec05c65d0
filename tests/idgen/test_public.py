"""The public number: a permutation that needs its key, in a form that carries the key's id."""

import base64
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idgen import InvalidIdError
from idgen.layout import ID_MAX, block_base
from idgen.public import PublicKeysError, PublicNumbers, permute, unpermute

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
A, B = (base64.b64encode(key).decode() for key in (KEY, OTHER))
VECTORS = [8559628864890464208, 8335444392243156935, 3412126902097843100]
ids = st.integers(1, ID_MAX)


@given(ids)
def test_every_id_reads_back_and_stays_within_63_bits(number):
    public = permute(number, key=KEY)
    assert 0 < public <= ID_MAX
    assert unpermute(public, key=KEY) == number


@given(ids)
def test_every_public_number_has_an_id_so_it_is_a_permutation(public):
    assert permute(unpermute(public, key=KEY), key=KEY) == public


def test_the_permutation_never_changes():
    """Numbers that merchants have stored must be readable for ever: these were made by the first version."""
    assert [permute(number, key=KEY) for number in (1, 250428769968324730, ID_MAX)] == VECTORS


def test_neighbours_are_strangers():
    base = block_base(at_ms=1_790_000_000_000, worker_id=1, lane=0)
    public = [permute(base + number, key=KEY) for number in range(2_000)]
    assert len(set(public)) == 2_000
    distances = [(left ^ right).bit_count() for left, right in pairwise(public)]
    assert 31 < sum(distances) / len(distances) < 32  # of 63 bits, half
    rising = sum(left < right for left, right in pairwise(public))
    assert 880 < rising < 1_120


def test_another_key_gives_another_number():
    assert permute(1, key=KEY) != permute(1, key=OTHER)
    assert unpermute(permute(1, key=KEY), key=OTHER) != 1


def test_the_first_key_writes_and_all_keys_read():
    old, new = PublicNumbers.parse(f"A:{A}"), PublicNumbers.parse(f"B:{B}, A:{A}")
    text = old.to_public(250428769968324730)
    assert text[0] == "A"
    assert len(text) == 14
    assert new.from_public(text) == 250428769968324730
    assert new.to_public(1)[0] == "B"
    with pytest.raises(InvalidIdError, match="no key"):
        old.from_public(new.to_public(1))


@pytest.mark.parametrize("text", ["", "A", "A0", "C" + "0" * 13, "A" + "0" * 13, "A" + "U" * 13, "0" * 14])
def test_text_that_is_no_public_number_is_refused(text):
    with pytest.raises(InvalidIdError):
        PublicNumbers.parse(f"A:{A}").from_public(text)


@pytest.mark.parametrize("text", ["", ",", "A", A, f"AB:{A}", f"é:{A}", f":{A}", f"A:{A},A:{B}", "A:***", "A:c2hvcnQ="])
def test_keys_that_cannot_be_right_are_refused(text):
    with pytest.raises(PublicKeysError):
        PublicNumbers.parse(text)


def test_keys_never_show_in_a_log_line():
    assert "key" not in repr(PublicNumbers.parse(f"A:{A}"))
