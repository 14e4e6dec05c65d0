"""Our own keys: sealed to their rows, one signer, and a change that surprises nobody."""

import threading
import time
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from openplatform import keys
from openplatform.models import PlatformKey
from openplatform.models.keys import PlatformKeyStatus
from openplatform.sealing import MasterKeyMissing, SealingError, seal, unseal

NOW = timezone.now()


def test_a_sealed_secret_opens_for_its_own_row_only():
    blob = seal(b"secret", aad="t:c:1")
    assert unseal(blob, aad="t:c:1") == b"secret"
    for aad in ("t:c:2", "t:d:1", "u:c:1", ""):
        with pytest.raises(SealingError):
            unseal(blob, aad=aad)


def test_a_sealed_secret_shows_nothing_and_differs_each_time():
    first, second = seal(b"secret", aad="x"), seal(b"secret", aad="x")
    assert first != second
    assert b"secret" not in first
    assert first.startswith(b"v1|")


def test_every_changed_byte_is_noticed():
    blob = seal(b"secret", aad="x")
    for index in range(len(blob)):
        changed = blob[:index] + bytes([blob[index] ^ 1]) + blob[index + 1 :]
        with pytest.raises(SealingError):
            unseal(changed, aad="x")
    for length in range(len(blob)):
        with pytest.raises(SealingError):
            unseal(blob[:length], aad="x")


def test_another_master_key_opens_nothing_and_a_bad_one_is_named(settings):
    blob = seal(b"secret", aad="x")
    settings.MASTER_KEY = "A" * 43 + "="
    with pytest.raises(SealingError, match="another master key"):
        unseal(blob, aad="x")
    for bad in ("", "short", "not base64!", "A" * 40):
        settings.MASTER_KEY = bad
        with pytest.raises(MasterKeyMissing):
            seal(b"secret", aad="x")


@pytest.mark.django_db
def test_the_private_half_is_sealed_and_a_blob_from_another_row_does_not_open(platform_key):
    other = keys.create_platform_key(now=NOW)
    assert b"PRIVATE" not in bytes(platform_key.private_key_sealed)
    PlatformKey.objects.filter(pk=other.pk).update(private_key_sealed=platform_key.private_key_sealed)
    other.refresh_from_db()
    with pytest.raises(SealingError):
        other.private_der()


@pytest.mark.django_db
def test_ensuring_a_key_makes_one_once():
    first = keys.ensure_platform_key(now=NOW)
    assert keys.ensure_platform_key(now=NOW) == first
    assert first.status == PlatformKeyStatus.CURRENT


@pytest.mark.django_db(transaction=True)
def test_processes_that_start_together_agree_on_one_key(pair, monkeypatch):
    found, barrier = [], threading.Barrier(4)

    def made_together(_algorithm):
        barrier.wait()
        return pair

    publish = PlatformKey.publish

    def published_slowly(**kwargs):
        time.sleep(0.2)  # long enough for each of the others to have looked and found nothing
        return publish(**kwargs)

    monkeypatch.setattr(keys, "new_pair", made_together)
    monkeypatch.setattr(PlatformKey, "publish", published_slowly)

    def start():
        found.append(keys.ensure_platform_key(now=NOW).pk)
        connection.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert PlatformKey.objects.count() == 1


@pytest.mark.django_db
def test_the_next_key_is_published_before_it_signs_and_the_last_one_signs_on_request_for_thirty_days(platform_key):
    now = timezone.now()
    following = keys.create_platform_key(now=now)
    assert following.status == PlatformKeyStatus.PUBLISHED
    assert keys.signer(now=now).serial_no == platform_key.pk
    assert {key.pk for key in keys.live_platform_keys(now=now)} == {platform_key.pk, following.pk}
    keys.rotate_platform_key(now=now)
    assert keys.signer(now=now).serial_no == following.pk
    assert keys.signer(now=now, asked_serial_no=platform_key.pk).serial_no == platform_key.pk
    later = now + timedelta(days=31)
    assert keys.signer(now=later, asked_serial_no=platform_key.pk).serial_no == following.pk
    assert [key.pk for key in keys.live_platform_keys(now=later)] == [following.pk]


@pytest.mark.django_db
def test_a_current_key_that_has_expired_signs_nothing_and_is_replaced(platform_key):
    later = timezone.now() + keys.LIFETIME + timedelta(days=1)
    with pytest.raises(keys.NoPlatformKey):
        keys.signer(now=later)
    fresh = keys.ensure_platform_key(now=later)
    assert fresh.pk != platform_key.pk
    assert keys.signer(now=later).serial_no == fresh.pk


@pytest.mark.django_db
def test_another_process_notices_a_rotation_within_five_seconds(platform_key, monkeypatch):
    following = keys.create_platform_key(now=timezone.now())
    assert keys.signer(now=timezone.now()).serial_no == platform_key.pk
    following.promote(now=timezone.now(), overlap=timedelta(days=1))  # as another process does it
    assert keys.signer(now=timezone.now()).serial_no == platform_key.pk
    real = time.monotonic
    monkeypatch.setattr("openplatform.caches.time.monotonic", lambda: real() + keys.CACHE_S)
    assert keys.signer(now=timezone.now()).serial_no == following.pk


@pytest.mark.django_db
def test_the_command_lists_creates_and_rotates(platform_key, capsys):
    with pytest.raises(CommandError, match="No key of RSA-SHA256 is published"):
        call_command("platform_key", "rotate")
    call_command("platform_key", "create")
    call_command("platform_key", "rotate")
    capsys.readouterr()
    call_command("platform_key", "list")
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[3] for line in listed] == ["retiring", "current"]
    assert "PRIVATE" not in "".join(listed)
