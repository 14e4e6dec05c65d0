"""App ids: unique, of the right length for the wire, and silent about time, order and number."""

import re
from itertools import pairwise

import pytest
from django.utils import timezone

from config.environment import derived_key
from idgen import public_ids
from idgen.public import PublicKeysError
from idgen.public_ids import next_public_id
from openplatform.models import App, Merchant

ON_THE_WIRE = re.compile(r"[1-9][0-9]{15,18}")  # what `mchid` of a signed request may be


@pytest.mark.django_db
def test_apps_registered_one_after_the_other_have_ids_that_do_not_show_it():
    merchant = Merchant.register(name="shop", now=timezone.now())
    ids = [App.register(merchant=merchant, name="till", now=timezone.now()).pk for _ in range(400)]
    assert len(set(ids)) == 400
    assert all(ON_THE_WIRE.fullmatch(str(number)) for number in ids)
    rising = sum(left < right for left, right in pairwise(ids))
    assert 140 < rising < 260, "an order would show; six sigma"
    near = sum(abs(left - right) < 2**53 for left, right in pairwise(ids))
    assert near < 8, "neighbours would show"
    assert 25 < sum((left ^ right).bit_count() for left, right in pairwise(ids)) / 399 < 38


def test_a_number_that_is_too_short_for_the_wire_is_not_given(monkeypatch, settings):
    settings.IDGEN_PUBLIC_KEYS = derived_key("A", "x", purpose="test")
    found = iter([10**15 - 1, 1, 10**15])
    monkeypatch.setattr(public_ids, "permute", lambda _number, *, key: next(found))
    monkeypatch.setattr(public_ids, "next_id", lambda: 1)
    assert next_public_id() == 10**15


def test_without_any_key_it_is_refused_and_not_guessed(settings):
    settings.IDGEN_PUBLIC_KEYS = ""
    with pytest.raises(PublicKeysError, match="MASTER_KEY"):
        next_public_id()


def test_the_key_that_follows_from_the_master_key_is_for_this_purpose_only():
    keys = {derived_key("A", master, purpose=purpose) for master in ("m", "n") for purpose in ("p", "q")}
    assert len(keys) == 4
    assert derived_key("A", "", purpose="p") == ""
