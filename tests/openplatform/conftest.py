import pytest
from django.utils import timezone

from openplatform.keys import ensure_platform_key
from openplatform.store import circuit
from tests.openplatform import harness


@pytest.fixture(autouse=True)
def closed_circuit():
    circuit.reset()


@pytest.fixture
def caller(db):
    ensure_platform_key(now=timezone.now())
    return harness.Caller(harness.an_app())
