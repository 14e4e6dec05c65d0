"""An app's id is what a merchant shows to everybody: it may not tell when it was made, or how many came before it."""

import re
from itertools import pairwise
from statistics import NormalDist

import pytest
from django.db import IntegrityError, transaction

from idgen import next_id, public, repair
from idgen.layout import ID_MAX
from idgen.public import PUBLIC_NO_MIN, PublicKeysMissing, PublicNumbers, next_public_no, unpermute
from openplatform.authorization import _GRAMMAR
from openplatform.models import App, Merchant, app
from tests.factories import NOW

pytestmark = pytest.mark.django_db
COUNT = 400
# A fair order or distance strays so far from its mean once in a million runs.
Z = NormalDist().inv_cdf(1 - 0.5e-6)


def register(**kwargs):
    merchant = Merchant.objects.first() or Merchant.register(name="m", now=NOW)
    return App.register(merchant=merchant, name="a", now=NOW, **kwargs)


def rising_share_is_that_of_chance(numbers):
    """Rising neighbours: as many as in a shuffled row, whose mean is (n - 1)/2 and whose variance is (n + 1)/12."""
    count = len(numbers)
    rising = sum(left < right for left, right in pairwise(numbers))
    return abs(rising - (count - 1) / 2) < Z * ((count + 1) / 12) ** 0.5


def mean_distance_is_that_of_chance(numbers):
    """Two independent numbers are a third of the range apart on average, give or take its sqrt(1/18).

    Neighbouring distances share a number, which makes the variance of their sum 1/18 + 2/180 each.
    """
    distances = [abs(left - right) / ID_MAX for left, right in pairwise(numbers)]
    return abs(sum(distances) / len(distances) - 1 / 3) < Z * ((1 / 18 + 1 / 90) / len(distances)) ** 0.5


def test_ids_of_apps_made_one_after_the_other_are_neither_ordered_nor_near():
    numbers = [register().pk for _ in range(COUNT)]
    assert len(set(numbers)) == COUNT
    assert rising_share_is_that_of_chance(numbers)
    assert mean_distance_is_that_of_chance(numbers)


def test_snowflakes_would_fail_that_test():
    numbers = [next_id() for _ in range(COUNT)]
    assert not rising_share_is_that_of_chance(numbers)
    assert not mean_distance_is_that_of_chance(numbers)


def test_each_id_follows_the_grammar_of_the_authorization_header():
    assert all(re.fullmatch(_GRAMMAR["mchid"], str(register().pk)) for _ in range(100))


def test_a_number_of_fewer_than_16_digits_is_drawn_again(monkeypatch):
    drawn = iter([PUBLIC_NO_MIN - 1, 1, PUBLIC_NO_MIN])
    monkeypatch.setattr(public, "permute", lambda number, *, key: next(drawn))
    assert next_public_no() == 10**15


def test_the_database_refuses_an_id_of_fewer_than_16_digits():
    existing = register()
    with pytest.raises(IntegrityError, match="app_id_has_16_digits_or_more"), transaction.atomic():
        App.objects.filter(pk=existing.pk).update(app_id=10**15 - 1)


def test_an_id_that_is_taken_is_drawn_again_and_nothing_of_the_first_try_stays(monkeypatch):
    """As may happen after a change of keys: two of them may give two ids one number."""
    first = register()
    drawn = iter([first.pk, first.pk, first.pk ^ 1])
    monkeypatch.setattr(app, "next_public_no", lambda: next(drawn))
    assert register().pk == first.pk ^ 1
    assert App.objects.count() == 2


def test_any_other_conflict_is_not_drawn_again():
    with pytest.raises(IntegrityError, match="app_name_not_empty"), transaction.atomic():
        App.register(merchant=Merchant.register(name="m", now=NOW), name="", now=NOW)


def test_without_a_key_that_is_kept_no_app_is_registered(settings):
    settings.IDGEN_PUBLIC_KEYS = ""
    with pytest.raises(PublicKeysMissing, match="IDGEN_PUBLIC_KEYS"):
        register()
    assert App.objects.count() == 0


def test_whoever_has_the_key_can_read_when_it_was_made(settings):
    numbers = PublicNumbers.parse(settings.IDGEN_PUBLIC_KEYS)
    before, made, after = next_id(), register().pk, next_id()
    assert before < unpermute(made, key=numbers.keys[numbers.current]) < after


def test_repair_does_not_take_an_app_id_for_a_time():
    """It reads the newest id of each worker from every snowflake column; an app's id would be in any year."""
    columns = repair.snowflake_columns()
    assert ("openplatform_merchant", "id") in columns
    assert "app_id" not in {column for _, column in columns}


def test_the_id_of_an_app_from_before_a_snowflake_stays_good():
    merchant = Merchant.register(name="m", now=NOW)
    old = App.objects.create(app_id=next_id(), merchant=merchant, name="old", created_at=NOW)
    assert re.fullmatch(_GRAMMAR["mchid"], str(old.pk))
