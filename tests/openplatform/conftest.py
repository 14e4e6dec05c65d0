from dataclasses import dataclass

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from openplatform.key_material import new_pair
from openplatform.keys import LIFETIME
from openplatform.models import PlatformKey
from openplatform.models.keys import PlatformKeyStatus
from openplatform.scopes import Scope
from openplatform.store import circuit
from tests.openplatform import harness
from tests.openplatform.servers import two_processes


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


@dataclass
class Served:
    """One server for all tests of this file; its rows stay until the end, for two processes cache them."""

    port: int
    caller: harness.Caller
    platform_key: PlatformKey


@pytest.fixture(scope="module")
def served(django_db_setup, django_db_blocker, pair):
    with django_db_blocker.unblock():
        now = timezone.now()
        key = PlatformKey.publish(pair=pair, status=PlatformKeyStatus.CURRENT, now=now, lifetime=LIFETIME)
        caller = harness.Caller(harness.an_app())
        with two_processes(master_key=settings.MASTER_KEY) as port:
            yield Served(port=port, caller=caller, platform_key=key)
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE openplatform_merchant, openplatform_platformkey CASCADE")
        connection.close()
