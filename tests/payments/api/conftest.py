import pytest

from tests import factories
from tests.signed import Merchant


@pytest.fixture
def merchant(transactional_db) -> Merchant:
    """A merchant who calls us, signed; nobody answers at its channel, and no worker runs."""
    return Merchant(factories.an_app())


@pytest.fixture
def stranger(merchant) -> Merchant:
    """Another merchant."""
    return Merchant(factories.an_app())
