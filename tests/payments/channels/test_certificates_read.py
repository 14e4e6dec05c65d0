"""Which certificates and keys of the channels count, and which never do."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from payments.channels.alipay import certificates as alipay_certificates
from payments.channels.alipay.channel import AlipayChannel
from payments.channels.alipay.signing import certificate_sn, root_certificate_sn
from payments.channels.answers import UnexpectedAnswer
from payments.channels.base import AccountConfig
from payments.channels.wechatpay import certificates, signing
from payments.channels.wechatpay.channel import WechatpayChannel
from payments.channels.wechatpay.keyring import Keyring
from tests.certificates import make
from tests.factories import key_pair

NOW = datetime(2026, 1, 2, 4, 0, tzinfo=UTC)
API_KEY = "k" * 32
ROOT = make("Root", now=NOW, is_authority=True)
CLASS_2 = make("Class 2", now=NOW, by=ROOT, is_authority=True)
THEIRS = make("Alipay", now=NOW, by=CLASS_2, is_authority=False)


def trusted(*chain, roots=ROOT.pem, now=NOW, serial="", **settings):
    """Whether a message that names the number of the first is believed by these."""
    pem = "".join(one.pem for one in chain)
    wanted = serial or certificate_sn(chain[0].pem)
    known = {"alipay_root_certificates": roots} | settings
    return alipay_certificates.trusted(pem, serial=wanted, settings=known, now=now)


def test_a_chain_up_to_a_root_of_the_account_is_believed():
    assert trusted(THEIRS, CLASS_2)
    assert trusted(make("direct", now=NOW, by=ROOT))
    assert trusted(THEIRS, CLASS_2, roots="\n".join([make("Other", now=NOW).pem, "garbage", ROOT.pem]))


def test_without_the_chain_or_without_roots_it_is_not():
    assert not trusted(THEIRS)
    assert not trusted(THEIRS, CLASS_2, roots="")
    assert not trusted(THEIRS, CLASS_2, roots=make("Root", now=NOW, is_authority=True).pem), "the same name is nothing"
    assert not trusted(make("alone", now=NOW))


@pytest.mark.parametrize("is_authority", [None, False])
def test_whoever_has_any_certificate_cannot_issue_another(is_authority):
    """The oldest hole of home-made checks: a merchant's own certificate stands under the same root."""
    merchants = make("a merchant", now=NOW, by=CLASS_2, is_authority=is_authority)
    assert not trusted(make("Alipay", now=NOW, by=merchants), merchants, CLASS_2)


def test_an_authority_that_may_not_make_authorities_makes_none():
    last = make("last", now=NOW, by=ROOT, is_authority=True, path_length=0)
    assert trusted(make("Alipay", now=NOW, by=last), last)
    below = make("below", now=NOW, by=last, is_authority=True)
    assert not trusted(make("Alipay", now=NOW, by=below), below, last)


@pytest.mark.parametrize("moment", [timedelta(days=400), timedelta(days=-2)], ids=["run out", "not yet"])
def test_each_certificate_of_the_chain_must_hold_now(moment):
    short, long = timedelta(days=365), timedelta(days=4000)
    for lifetimes in ((short, long, long), (long, short, long), (long, long, short)):
        root = make("Root", now=NOW, is_authority=True, lifetime=lifetimes[0])
        between = make("between", now=NOW, by=root, is_authority=True, lifetime=lifetimes[1])
        theirs = make("Alipay", now=NOW, by=between, lifetime=lifetimes[2])
        assert trusted(theirs, between, roots=root.pem)
        assert not trusted(theirs, between, roots=root.pem, now=NOW + moment)


def test_our_own_certificate_and_another_number_are_not_theirs():
    assert not trusted(THEIRS, CLASS_2, app_cert_sn=certificate_sn(THEIRS.pem))
    assert not trusted(THEIRS, CLASS_2, serial="e" * 32)
    assert not trusted(make("weak", now=NOW, by=ROOT, bits=1024))


def test_a_chain_that_goes_in_a_circle_ends():
    one, other = make("A", now=NOW, is_authority=True), make("A", now=NOW, is_authority=True)
    assert not trusted(one, other, one, other)


@pytest.mark.parametrize("text", [None, 7, "", "!", "AAAA", "x" * 100_000], ids=str)
def test_a_content_that_cannot_be_read_is_none(text):
    assert alipay_certificates.content(text) == ""


ALIPAY = {"app_id": "2021", "seller_id": "2088", "gateway": "https://gw.example/gateway.do"}
BY_CERTIFICATE = {
    "app_cert_sn": "a", "alipay_root_cert_sn": root_certificate_sn(ROOT.pem), "alipay_root_certificates": ROOT.pem,
}  # fmt: skip
WECHATPAY = {"mchid": "1", "appid": "wx", "merchant_serial_no": "A1", "api_base": "https://api.example"}


@pytest.mark.parametrize(
    ("channel", "settings", "said"),
    [
        (AlipayChannel, ALIPAY, "alipay_keys or alipay_root_certificates is missing"),
        (AlipayChannel, ALIPAY | BY_CERTIFICATE, ""),
        (AlipayChannel, ALIPAY | {"alipay_keys": {"": "x"}}, ""),
        (AlipayChannel, ALIPAY | BY_CERTIFICATE | {"alipay_root_cert_sn": "b"}, "cert_sn is not the number"),
        (AlipayChannel, ALIPAY | BY_CERTIFICATE | {"alipay_root_certificates": "b"}, "holds no certificate in PEM"),
        (AlipayChannel, ALIPAY | {"alipay_root_certificates": ROOT.pem}, "app_cert_sn is missing"),
        (WechatpayChannel, WECHATPAY, ""),
        (WechatpayChannel, WECHATPAY | {"oauth_api_base": "b", "oauth_authorize_url": "a"}, "app_secret is missing"),
        (WechatpayChannel, WECHATPAY | {"answer_key_serial": "PUB_KEY_ID_1"}, "is not among platform_keys"),
    ],
)  # fmt: skip
def test_settings_that_name_no_key_are_refused(channel, settings, said):
    secrets = {"private_key_pem": "p", "apiv3_key": "k"} if channel is WechatpayChannel else {"private_key_pem": "p"}
    issues = channel.account_shape.issues(settings=settings, secrets=secrets)
    assert said in "\n".join(issues)
    assert bool(issues) == bool(said)


OLD, NEW = make("old", now=NOW - timedelta(days=300)), make("new", now=NOW)


def keyring(*fetched, **settings):
    return Keyring(
        AccountConfig(
            account_id=1, settings=settings, secrets={}, deadline_s=1, connect_s=1,
            certificates=lambda: {one.serial: one.pem for one in fetched},
        )
    )  # fmt: skip


def test_a_certificate_counts_while_it_holds_and_an_entered_key_always():
    ring = keyring(OLD, platform_keys={"PUB_KEY_ID_1": key_pair()[1]})
    assert ring.named(OLD.serial, now=NOW) == {OLD.serial: OLD.pem}
    assert ring.named(OLD.serial, now=NOW + timedelta(days=66)) == {}
    assert ring.named(OLD.serial, now=NOW - timedelta(days=302)) == {}
    assert ring.named("PUB_KEY_ID_1", now=NOW + timedelta(days=9999))
    assert ring.named(NEW.serial, now=NOW) == {}


def test_sensitive_fields_are_for_the_public_key_or_for_the_newest_certificate_that_holds():
    assert keyring(OLD, NEW).to_encrypt_for(now=NOW) == (NEW.serial, NEW.pem)
    assert keyring(NEW, OLD).to_encrypt_for(now=NOW) == (NEW.serial, NEW.pem)
    assert keyring(OLD, NEW).to_encrypt_for(now=NOW - timedelta(days=2)) == (OLD.serial, OLD.pem), "not yet"
    entered = {"A" * 40: "c", "PUB_KEY_ID_2": "b", "PUB_KEY_ID_1": "a"}
    assert keyring(NEW, platform_keys=entered, answer_key_serial="PUB_KEY_ID_1").to_encrypt_for(now=NOW) == (
        "PUB_KEY_ID_1", "a",
    )  # fmt: skip
    assert keyring(NEW, platform_keys=entered).to_encrypt_for(now=NOW) == ("PUB_KEY_ID_2", "b")
    assert keyring(platform_keys={"A" * 40: "c"}).to_encrypt_for(now=NOW) == ("A" * 40, "c")
    assert keyring().to_encrypt_for(now=NOW) is None


def test_a_field_is_encrypted_for_their_key_alone():
    scheme = OAEP(mgf=MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
    sealed = signing.encrypt_field("张三", pem=NEW.pem)
    assert NEW.key.decrypt(base64.b64decode(sealed), scheme).decode() == "张三"
    assert sealed != signing.encrypt_field("张三", pem=NEW.pem)


def listed(made, **changes):
    nonce = "abcdefghijkl"
    cipher = AESGCM(API_KEY.encode()).encrypt(nonce.encode(), made.pem.encode(), b"certificate")
    sealed = {
        "algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "associated_data": "certificate",
        "ciphertext": base64.b64encode(cipher).decode(),
    }  # fmt: skip
    return {"serial_no": made.serial, "encrypt_certificate": sealed} | changes


def test_a_list_of_certificates_is_read():
    body = json.dumps({"data": [listed(OLD), listed(NEW)]}).encode()
    found = certificates.read(body, api_key=API_KEY)
    assert [one.serial for one in found] == [OLD.serial, NEW.serial]
    assert found[0].not_after == OLD.certificate.not_valid_after_utc
    with pytest.raises(signing.NotOpened):
        certificates.read(body, api_key="x" * 32)


@pytest.mark.parametrize(
    "entries",
    [
        None, "x", [None], [{}], [listed(NEW, serial_no=OLD.serial)], [listed(NEW, serial_no="x")],
        [listed(NEW, encrypt_certificate="x")], [listed(NEW)] * 21, [listed(NEW), {}],
        [listed(make("weak", now=NOW, bits=1024))],
    ],
)  # fmt: skip
def test_of_a_list_that_is_not_right_nothing_is_believed(entries):
    with pytest.raises(UnexpectedAnswer):
        certificates.read(json.dumps({"data": entries}).encode(), api_key=API_KEY)
