"""WeChat Pay's addresses: certificates, and the APIv3 key that they are encrypted under."""

import base64

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.db import IntegrityError, transaction
from django.utils import timezone

from openplatform.caches import clear_all
from openplatform.keys import create_platform_key, live_platform_keys
from openplatform.models import App, PlatformKey
from openplatform.sealing import SealingError
from tests.factories import again
from tests.payments.api.face_merchant import (
    merchant,
    nobody_waits,
    stranger,
)

__all__ = ["merchant", "nobody_waits", "stranger"]


def opened(envelope, api_key):
    cipher = AESGCM(api_key.encode())
    sealed = base64.b64decode(envelope["ciphertext"])
    return cipher.decrypt(envelope["nonce"].encode(), sealed, envelope["associated_data"].encode())


def test_certificates_are_encrypted_for_the_app_and_hold_the_keys_that_sign(merchant):
    create_platform_key(now=timezone.now())
    answer = merchant.get("/v3/certificates")
    assert answer.is_signed_under("Wechatpay")
    keys = live_platform_keys(now=timezone.now())
    assert [entry["serial_no"] for entry in answer.fields["data"]] == [key.serial_no for key in keys]
    for entry, key in zip(answer.fields["data"], keys, strict=True):
        assert len(entry["encrypt_certificate"]["nonce"]) == 12
        found = x509.load_pem_x509_certificate(opened(entry["encrypt_certificate"], merchant.api_key))
        assert hex(found.serial_number)[2:].upper() == key.serial_no
        assert found.public_key() == load_pem_public_key(key.public_key_pem.encode())
        found.verify_directly_issued_by(found)


def test_a_replaced_apiv3_key_is_the_only_one_that_opens_what_comes_after(merchant):
    old, new = merchant.api_key, merchant.app.replace_apiv3_key()
    assert (len(new), old != new) == (32, True)
    envelope = merchant.get("/v3/certificates").fields["data"][0]["encrypt_certificate"]
    assert opened(envelope, new).startswith(b"-----BEGIN CERTIFICATE-----")
    with pytest.raises(InvalidTag):
        opened(envelope, old)


def test_keys_from_before_certificates_are_answered_as_theirs_does_for_merchants_with_public_keys(merchant):
    PlatformKey.objects.update(certificate_pem=None)
    clear_all()
    answer = merchant.get("/v3/certificates")
    assert (answer.status, answer.code) == (404, "RESOURCE_NOT_EXISTS")


def test_the_database_refuses_a_switch_without_an_apiv3_key(merchant):
    with pytest.raises(IntegrityError, match="app_wechatpay_has_apiv3_key"), transaction.atomic():
        App.objects.filter(pk=merchant.app.pk).update(apiv3_key_sealed=None)


def test_an_apiv3_key_does_not_open_in_another_apps_row(merchant, stranger):
    App.objects.filter(pk=stranger.app.pk).update(apiv3_key_sealed=again(merchant.app).apiv3_key_sealed)
    with pytest.raises(SealingError, match="another row"):
        again(stranger.app).apiv3_key()
