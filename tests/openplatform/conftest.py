import pytest
from django.utils import timezone

from openplatform.key_material import new_pair
from openplatform.keys import LIFETIME
from openplatform.models import PlatformKey
from openplatform.models.keys import PlatformKeyStatus
from openplatform.scopes import Scope
from openplatform.store import circuit
from tests.openplatform import harness


@pytest.fixture(autouse=True)
def closed_circuit():
    circuit.reset()


@pytest.fixture(scope="session")
def pair():
    """Made once: a pair costs more than most tests."""
    return new_pair()


@pytest.fixture
def platform_key(db, pair):
    return PlatformKey.publish(pair=pair, status=PlatformKeyStatus.CURRENT, now=timezone.now(), lifetime=LIFETIME)


@pytest.fixture
def caller(platform_key):
    return harness.Caller(harness.an_app())


@pytest.fixture
def manager(platform_key):
    """A caller whose key may do everything, keys included."""
    return harness.Caller(harness.an_app(), scopes=Scope.values)
