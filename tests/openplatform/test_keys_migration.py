"""Keys of before there were scopes and proofs go on as they were."""

import pytest
from django.db import connection
from django.utils import timezone

from openplatform.models import AppKey, PlatformKey
from openplatform.scopes import DEFAULT_SCOPES
from tests.migrating import schema_of
from tests.openplatform import harness

BEFORE = [("payments", "0004_evidence"), ("openplatform", "0003_held_notifications")]


@pytest.mark.django_db(transaction=True)
def test_old_keys_are_active_with_the_default_scopes_and_their_fingerprints_stay_taken(platform_key):
    app = harness.an_app()
    active, revoked = (
        AppKey.register(app=app, public_key_pem=harness.public_pem(harness.a_key()), now=timezone.now())
        for _ in range(2)
    )
    revoked.revoke(now=timezone.now())
    with schema_of(*BEFORE), connection.cursor() as cursor:
        cursor.execute("SELECT serial_no, status FROM openplatform_appkey")
        assert dict(cursor.fetchall()) == {active.pk: "active", revoked.pk: "revoked"}
    for row in AppKey.objects.all():
        assert (row.purpose, row.scopes, row.proven_at) == ("sign", list(DEFAULT_SCOPES), row.created_at)
    assert PlatformKey.objects.get().purpose == "sign"
    assert PlatformKey.objects.get().private_der() == platform_key.private_der()
