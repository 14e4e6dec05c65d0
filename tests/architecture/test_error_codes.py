"""Every refusal has an HTTP status and a line in docs/error-codes.md."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from openplatform import problems
from openplatform.blocks.values import ListingRefused
from openplatform.key_material import KeyRefused
from openplatform.models.blocks import AlreadyListed, EndsInThePast  # noqa: F401 - further members of the family
from payments.api.errors import STATUS_BY_CODE
from payments.errors import PaymentsError
from payments.money import AmountError

ROOT = Path(__file__).parents[2]
DOCUMENTED = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs" / "error-codes.md").read_text(encoding="utf-8")))


def family(base: type) -> Iterator[type]:
    yield base
    for child in base.__subclasses__():
        yield from family(child)


@pytest.mark.parametrize("error", list(family(PaymentsError)), ids=lambda error: error.__name__)
def test_a_domain_refusal_has_a_status_and_a_line(error):
    assert error.code in STATUS_BY_CODE
    assert error.code in DOCUMENTED


@pytest.mark.parametrize(
    "error",
    [*family(problems.Problem), *family(KeyRefused), *family(ListingRefused)],
    ids=lambda error: error.__name__,
)
def test_a_refusal_of_the_open_platform_has_a_line(error):
    assert error.code in DOCUMENTED or error.__name__.startswith("_")


@pytest.mark.parametrize("error", list(family(AmountError)), ids=lambda error: error.__name__)
def test_a_reason_of_an_amount_has_a_line(error):
    assert error.reason in DOCUMENTED
