"""Changing the master key under a running system: nothing is lost, nothing is done twice, nothing is forgotten."""

import base64
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connection, models, transaction

from openplatform import rekeying, sealing
from openplatform.models import PlatformKey
from openplatform.models.sealed import SealedField, sealed_columns, swap_blob
from openplatform.sealing import MasterKeyMissing, SealingError, current_header, seal, unseal
from payments.models import BillFilePart, ChannelAccount, Payment
from tests import factories

ROOT = Path(__file__).resolve().parent.parent.parent
OTHER = base64.b64encode(bytes(range(32, 64))).decode()
THIRD = base64.b64encode(bytes(range(64, 96))).decode()


@pytest.fixture
def world(platform_key):
    """A secret in every sealed column."""
    factories.a_submitting_order()
    factories.a_submitting_order(method="native", payer_id="")  # nobody is named: nothing to seal
    return platform_key


@pytest.fixture
def new_master(settings):
    settings.MASTER_KEYS_OLD = [settings.MASTER_KEY]
    settings.MASTER_KEY = OTHER


def counts(tallies):
    return {tally.column: dict(tally.counts) for tally in tallies}


def rekey(*arguments):
    out = io.StringIO()
    call_command("rekey", *arguments, stdout=out)
    return out.getvalue()


# --- several master keys ----------------------------------------------------------------------------------------------


def test_an_old_master_key_opens_and_the_new_one_seals(new_master, settings):
    old = settings.MASTER_KEYS_OLD[0]
    settings.MASTER_KEY, settings.MASTER_KEYS_OLD = old, []
    blob = seal(b"secret", aad="t:c:1")
    settings.MASTER_KEY, settings.MASTER_KEYS_OLD = OTHER, [THIRD, old]
    assert unseal(blob, aad="t:c:1") == b"secret"
    assert seal(b"secret", aad="t:c:1").startswith(current_header())
    with pytest.raises(SealingError, match="another row"):
        unseal(blob, aad="t:c:2")
    settings.MASTER_KEYS_OLD = [THIRD]
    with pytest.raises(SealingError, match="another master key"):
        unseal(blob, aad="t:c:1")


def test_a_blob_that_names_another_key_than_the_one_that_sealed_it_does_not_open(new_master):
    blob = seal(b"secret", aad="t:c:1")
    old_header = sealing._header(base64.b64decode(django_settings.MASTER_KEYS_OLD[0]))
    with pytest.raises(SealingError):
        unseal(old_header + blob[len(old_header) :], aad="t:c:1")


@pytest.mark.parametrize(
    ("old", "ids"), [(["short"], {"fenpay.E005"}), (["A" * 43 + "="], set()), ([OTHER], {"fenpay.E006"})]
)
def test_the_checks_find_old_keys_that_cannot_be_right(settings, old, ids):
    settings.MASTER_KEY, settings.MASTER_KEYS_OLD = OTHER, old
    assert {message.id for message in run_checks() if message.id in {"fenpay.E005", "fenpay.E006"}} == ids


def test_an_old_key_that_is_no_key_is_named_without_its_text(settings):
    settings.MASTER_KEYS_OLD = ["c2VjcmV0"]
    with pytest.raises(MasterKeyMissing, match="MASTER_KEYS_OLD") as refused:
        unseal(seal(b"x", aad="a") + b"", aad="a")
    assert "c2VjcmV0" not in str(refused.value)


# --- which columns ----------------------------------------------------------------------------------------------------


def test_every_column_of_bytes_in_our_apps_is_a_registered_sealed_one():
    """A secret in a plain column would stay under the old key for ever, and nobody would know."""
    ours = [app for app in apps.get_app_configs() if app.name in {"config", "idgen", "openplatform", "payments"}]
    assert len(ours) == 4
    bytes_columns = {
        (model, field.name)
        for app in ours
        for model in app.get_models()
        for field in model._meta.local_concrete_fields
        if isinstance(field, models.BinaryField) or field.name.endswith("_sealed")
    }
    bytes_columns.remove((BillFilePart, "content"))  # a channel's file as it came: no secret of anybody's
    assert bytes_columns == set(sealed_columns())
    assert bytes_columns >= {
        (PlatformKey, "private_key_sealed"), (ChannelAccount, "secrets_sealed"), (Payment, "payer_sealed"),
    }  # fmt: skip
    assert all(name.endswith("_sealed") and isinstance(model._meta.get_field(name), SealedField)
               for model, name in bytes_columns)  # fmt: skip


# --- rekey ------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_everything_is_sealed_anew_and_opens_without_the_old_key(world, new_master, settings):
    before = world.private_der()
    assert counts(rekeying.check()) == {
        "openplatform_app.apiv3_key_sealed": {},
        "openplatform_blindkey.key_sealed": {},
        "openplatform_webhooksecret.secret_sealed": {},
        "openplatform_platformkey.private_key_sealed": {"old": 1},
        "payments_channelaccount.secrets_sealed": {"old": 2},
        "payments_payment.payer_sealed": {"old": 1},
    }
    with pytest.raises(CommandError, match="still under an old master key"):
        rekey("--check")
    assert "payments_payment.payer_sealed: sealed 1" in rekey()
    settings.MASTER_KEYS_OLD = []
    assert "payments_payment.payer_sealed: current 1" in rekey("--check")
    assert PlatformKey.objects.get(pk=world.pk).private_der() == before
    assert {account.secrets()["apiv3_key"] for account in ChannelAccount.objects.all()} == {"k" * 32}
    assert sorted(payment.payer_id for payment in Payment.objects.all()) == ["", "o-payer-1"]


@pytest.mark.django_db
def test_a_second_run_finds_nothing_to_do(world, new_master):
    rekey()
    blobs = list(Payment.objects.values_list("payer_sealed", flat=True))
    assert rekey().count("nothing to do") == len(list(sealed_columns()))
    assert [bytes(blob) for blob in Payment.objects.values_list("payer_sealed", flat=True) if blob] == [
        bytes(blob) for blob in blobs if blob
    ]


@pytest.mark.django_db
def test_a_secret_that_cannot_be_opened_is_named_loudly_and_the_others_are_done(world, new_master):
    accounts = list(ChannelAccount.objects.order_by("pk"))
    ChannelAccount.objects.filter(pk=accounts[0].pk).update(secrets_sealed=bytes(accounts[1].secrets_sealed))
    for arguments in ([], ["--check"]):
        with pytest.raises(
            CommandError, match=f"1 secrets cannot be opened.*payments_channelaccount.*{accounts[0].pk}"
        ):
            rekey(*arguments)
    assert bytes(ChannelAccount.objects.get(pk=accounts[1].pk).secrets_sealed).startswith(current_header())
    assert bytes(ChannelAccount.objects.get(pk=accounts[0].pk).secrets_sealed) == bytes(accounts[1].secrets_sealed)


@pytest.mark.django_db
def test_without_the_old_key_nothing_is_touched(world, settings):
    settings.MASTER_KEY = OTHER
    before = bytes(PlatformKey.objects.get().private_key_sealed)
    with pytest.raises(CommandError, match="4 secrets cannot be opened"):
        rekey()
    assert bytes(PlatformKey.objects.get().private_key_sealed) == before


@pytest.mark.django_db
def test_more_rows_than_one_batch_are_all_found(world, new_master, monkeypatch):
    monkeypatch.setattr("openplatform.models.sealed.BATCH", 2)
    for _ in range(5):
        factories.an_account(factories.an_app(with_account=False).merchant)
    ChannelAccount.objects.first().replace_settings(
        settings=ChannelAccount.objects.first().settings, secrets={"apiv3_key": "n" * 32}
    )
    assert ChannelAccount.objects.count() == 7
    by_column = counts(rekeying.rekey())
    # Those made since have today's key already.
    assert by_column["payments_channelaccount.secrets_sealed"] == {"sealed": 1}
    assert counts(rekeying.check())["payments_channelaccount.secrets_sealed"] == {"current": 7}


@pytest.mark.django_db
def test_an_update_between_reading_and_writing_is_not_lost(world, new_master, monkeypatch):
    account = ChannelAccount.objects.first()
    fresh = {"private_key_pem": "x", "apiv3_key": "new" * 10, "app_secret": "s"}

    def late(row, column, *, old, new):
        monkeypatch.setattr(rekeying, "swap_blob", swap_blob)
        ChannelAccount.objects.get(pk=account.pk).replace_settings(settings=account.settings, secrets=fresh)
        return swap_blob(row, column, old=old, new=new)

    def only_then(row, column, *, old, new):
        return (late if row.pk == account.pk else swap_blob)(row, column, old=old, new=new)

    monkeypatch.setattr(rekeying, "swap_blob", only_then)
    assert counts(rekeying.rekey())["payments_channelaccount.secrets_sealed"] == {"overtaken": 1, "sealed": 1}
    assert ChannelAccount.objects.get(pk=account.pk).secrets() == fresh


@pytest.mark.django_db
def test_an_update_by_a_process_that_still_seals_with_the_old_key_is_sealed_anew_too(
    world, new_master, monkeypatch, settings
):
    account = ChannelAccount.objects.first()
    fresh = {"private_key_pem": "x", "apiv3_key": "new" * 10, "app_secret": "s"}

    def write_as_before(row, column, *, old, new):
        monkeypatch.setattr(rekeying, "swap_blob", swap_blob)
        today, settings.MASTER_KEY = settings.MASTER_KEY, settings.MASTER_KEYS_OLD[0]
        ChannelAccount.objects.get(pk=row.pk).replace_settings(settings=account.settings, secrets=fresh)
        settings.MASTER_KEY = today
        return swap_blob(row, column, old=old, new=new)

    monkeypatch.setattr(
        rekeying, "swap_blob",
        lambda row, column, **blobs: (write_as_before if row.pk == account.pk else swap_blob)(row, column, **blobs),
    )  # fmt: skip
    rekeying.rekey()
    row = ChannelAccount.objects.get(pk=account.pk)
    assert row.secrets() == fresh
    assert bytes(row.secrets_sealed).startswith(current_header())


@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_holds_is_left_for_another_run(platform_key, new_master, settings):
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            PlatformKey.objects.select_for_update().get()
            held.set()
            let_go.wait(20)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    try:
        with pytest.raises(CommandError, match=r"run rekey \(again\)"):
            rekey()
    finally:
        let_go.set()
        thread.join()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    assert "sealed 1" in rekey()


@pytest.mark.django_db
def test_the_payer_of_a_payment_is_a_fact_except_for_rekey(world):
    payment = Payment.objects.exclude(payer_sealed=None).get()
    for sql in ("payer_sealed = NULL", "payer_sealed = 'x'"):
        with pytest.raises(Exception, match="refused"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE payments_payment SET {sql} WHERE payment_no = {payment.pk}")
    with pytest.raises(Exception, match="refused"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL fenpay.rekeying = 'on'; UPDATE payments_payment SET amount_fen = 1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('fenpay.rekeying', true)")
        assert cursor.fetchone()[0] in {None, ""}


def _rows_left(header):
    return sum(
        not bytes(blob).startswith(header) for blob in ChannelAccount.objects.values_list("secrets_sealed", flat=True)
    )


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_killed_half_way_is_simply_run_again(settings):
    """The real command, in a process of its own, killed without warning while it works."""
    merchant = factories.an_app(with_account=False).merchant
    for number in range(400):
        ChannelAccount.register(
            merchant=merchant, channel=f"c{number}", name="n", settings={}, secrets={"apiv3_key": str(number)},
            now=factories.NOW,
        )  # fmt: skip
    database = django_settings.DATABASES["default"]
    environ = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings", "MASTER_KEY": OTHER, "MASTER_KEYS_OLD": settings.MASTER_KEY,
        "DATABASE_URL": f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}",
        "SECRET_KEY": "x" * 50, "LOG_FORMAT": "text",
    }  # fmt: skip
    command = [sys.executable, "-W", "ignore", "manage.py", "rekey"]
    settings.MASTER_KEYS_OLD, settings.MASTER_KEY = [settings.MASTER_KEY], OTHER
    total = _rows_left(current_header())
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while _rows_left(current_header()) == total and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    left = _rows_left(current_header())
    assert 0 < left < total, "it was killed half way"
    again = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert f"payments_channelaccount.secrets_sealed: sealed {left}" in again.stdout
    settings.MASTER_KEYS_OLD = []
    assert all(account.channel == f"c{account.secrets()['apiv3_key']}" for account in ChannelAccount.objects.all())
