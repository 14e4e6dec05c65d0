"""Envelopes: made and opened by two implementations, and every way to make one that is not what it should be."""

import base64
import json
import secrets
import zlib
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.utils import timezone
from joserfc import jwe
from joserfc.jwk import RSAKey

from openplatform import app_keys, envelopes, keyring, keys
from openplatform.app_keys import Offer
from openplatform.client import Config, NotOpened, decrypt, encrypt_payer
from openplatform.client.envelopes import decrypt_text
from openplatform.client.envelopes import encrypt as client_encrypt
from openplatform.client.keys import answer_challenge
from openplatform.envelopes import EnvelopeRefused, open_envelope, seal_envelope
from openplatform.key_material import Algorithm, KeyLengthRefused, Purpose, UnknownAlgorithm
from openplatform.key_states import Actor, ActorKind, ProofRefused, ScopesRefused
from openplatform.keyring import Recipient
from openplatform.models import AppKey
from tests.openplatform import harness

pytestmark = pytest.mark.django_db
APP = 1234567890123456789
BY = Actor(ActorKind.OPERATOR, "op")
OAEP_256 = padding.OAEP(mgf=padding.MGF1(SHA256()), algorithm=SHA256(), label=None)


@pytest.fixture(scope="module")
def encryption_pair():
    from openplatform.key_material import new_pair

    return new_pair(Algorithm.RSA_OAEP_256)


@pytest.fixture
def ours(encryption_pair, monkeypatch):
    """Our current key for encryption."""
    monkeypatch.setattr(keys, "new_pair", lambda algorithm: encryption_pair)
    return keys.ensure_platform_key(now=timezone.now(), algorithm=Algorithm.RSA_OAEP_256)


def public(row):
    return load_pem_public_key(row.public_key_pem.encode())


def opened(text, *, app_id=APP, now=None):
    return open_envelope(text, app_id=app_id, now=now or timezone.now())


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forge(
    row, *, plaintext=b'{"openid": "o-1"}', header=None, without=(), raw_header=None, cek=None, iv=None, wrap=OAEP_256,
    tag_bytes=16, wrapped=None, aad=None,
):  # fmt: skip
    """An envelope with full control over each of its parts; with the defaults it is a good one."""
    names = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": row.pk, "iss": str(APP)} | (header or {})
    named = {name: value for name, value in names.items() if name not in without}
    protected = b64(raw_header if raw_header is not None else json.dumps(named).encode())
    cek, iv = cek or secrets.token_bytes(32), iv or secrets.token_bytes(12)
    sealed = AESGCM(cek).encrypt(iv, plaintext, (aad or protected).encode())
    wrapped = wrapped if wrapped is not None else public(row).encrypt(cek, wrap)
    return ".".join([protected, b64(wrapped), b64(iv), b64(sealed[:-16]), b64(sealed[-16:][:tag_bytes])])


# --- two implementations ----------------------------------------------------------------------------------------------


def test_what_the_client_makes_by_hand_is_opened_by_the_library(ours):
    config = Config(
        base_url="https://pay.example", app_id=str(APP), serial_no="x", private_key=harness.a_key(), platform_keys={},
        encryption_keys={ours.pk: public(ours)},
    )  # fmt: skip
    first, second = encrypt_payer(config, "o-咖啡"), encrypt_payer(config, "o-咖啡")
    assert first != second
    assert opened(first) == opened(second) == {"openid": "o-咖啡"}


def test_what_we_make_is_opened_by_hand_and_by_the_bare_library():
    key = harness.a_key()
    text = seal_envelope({"openid": "o-咖啡"}, to=Recipient("MY_KEY_01", harness.public_pem(key)))
    config = Config(
        base_url="https://pay.example", app_id=str(APP), serial_no="x", private_key=harness.a_key(), platform_keys={},
        decryption_keys={"MY_KEY_01": key},
    )  # fmt: skip
    assert decrypt(config, text) == {"openid": "o-咖啡"}
    registry = jwe.JWERegistry(algorithms=["RSA-OAEP-256", "A256GCM"], strict_check_header=False)
    bare = jwe.decrypt_compact(text, RSAKey.import_key(harness.private_pem(key)), registry=registry)
    assert json.loads(bare.plaintext) == {"openid": "o-咖啡"}
    header = json.loads(base64.urlsafe_b64decode(text.split(".")[0] + "=="))
    assert header == {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "MY_KEY_01", "iss": "fenpay"}


def test_a_forged_envelope_with_nothing_wrong_in_it_opens(ours):
    """Or the tests below would pass for another reason."""
    assert opened(forge(ours)) == {"openid": "o-1"}


# --- everything that is wrong gets one answer -------------------------------------------------------------------------


def with_key(row, *, bits=2048):
    return load_pem_public_key(harness.public_pem(harness.a_key(bits)).encode())


TRICKS = {
    "alg RSA1_5": lambda row: forge(row, header={"alg": "RSA1_5"}, wrap=padding.PKCS1v15()),
    "alg RSA-OAEP with SHA-1": lambda row: forge(
        row, header={"alg": "RSA-OAEP"}, wrap=padding.OAEP(mgf=padding.MGF1(SHA1()), algorithm=SHA1(), label=None)
    ),
    "SHA-1 under the right name": lambda row: forge(
        row, wrap=padding.OAEP(mgf=padding.MGF1(SHA1()), algorithm=SHA1(), label=None)
    ),
    "alg dir": lambda row: forge(row, header={"alg": "dir"}, wrapped=b""),
    "alg none": lambda row: forge(row, header={"alg": "none"}),
    "alg a number": lambda row: forge(row, header={"alg": 1}),
    "alg PBES2 with many rounds": lambda row: forge(row, header={"alg": "PBES2-HS256+A128KW", "p2c": 2**31}),
    "enc A128GCM": lambda row: forge(row, header={"enc": "A128GCM"}, cek=b"k" * 16),
    "enc A128CBC-HS256": lambda row: forge(row, header={"enc": "A128CBC-HS256"}),
    "a key of 16 bytes": lambda row: forge(row, cek=b"k" * 16),
    "a key of 24 bytes": lambda row: forge(row, cek=b"k" * 24),
    "zip DEF": lambda row: forge(row, header={"zip": "DEF"}, plaintext=zlib.compress(b'{"openid": "o-1"}')[2:-4]),
    "a bomb": lambda row: forge(row, header={"zip": "DEF"}, plaintext=zlib.compress(b" " * 1_000_000)[2:-4]),
    "crit": lambda row: forge(row, header={"crit": ["exp"], "exp": 1}),
    "b64": lambda row: forge(row, header={"b64": False, "crit": ["b64"]}),
    "jwk": lambda row: forge(row, header={"jwk": {"kty": "RSA"}}),
    "jku": lambda row: forge(row, header={"jku": "https://evil.example/keys"}),
    "x5u": lambda row: forge(row, header={"x5u": "https://evil.example/cert"}),
    "epk": lambda row: forge(row, header={"epk": {"kty": "EC"}}),
    "cty JWT": lambda row: forge(row, header={"cty": "JWT"}),
    "one more name": lambda row: forge(row, header={"x": "y"}),
    **{f"without {name}": lambda row, name=name: forge(row, without=(name,)) for name in ("alg", "enc", "kid", "iss")},
    "kid twice": lambda row: forge(
        row,
        raw_header=b'{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"x","kid":"%s","iss":"%d"}' % (row.pk.encode(), APP),
    ),
    "kid unknown": lambda row: forge(row, header={"kid": "NO_SUCH_KEY"}),
    "kid empty": lambda row: forge(row, header={"kid": ""}),
    "kid a list": lambda row: forge(row, header={"kid": [row.pk]}),
    "kid with SQL": lambda row: forge(row, header={"kid": "' OR 1=1 --"}),
    "another issuer": lambda row: forge(row, header={"iss": "9" * 19}),
    "issuer a number": lambda row: forge(row, header={"iss": APP}),
    "our own name as issuer": lambda row: forge(row, header={"iss": "fenpay"}),
    "header no JSON": lambda row: forge(row, raw_header=b"{"),
    "header no object": lambda row: forge(row, raw_header=b"[]"),
    "header invalid UTF-8": lambda row: forge(row, raw_header=b'{"alg": "\xff"}'),
    "header changed after the tag was made": lambda row: forge(row, aad=b64(b"{}")),
    "wrapped with another key": lambda row: forge(row, wrapped=with_key(row).encrypt(b"k" * 32, OAEP_256)),
    "wrapped with a longer key": lambda row: forge(row, wrapped=with_key(row, bits=4096).encrypt(b"k" * 32, OAEP_256)),
    "wrapped key of zeros": lambda row: forge(row, wrapped=bytes(256)),
    "wrapped key of ones": lambda row: forge(row, wrapped=b"\xff" * 256),
    "wrapped key too short": lambda row: forge(row, wrapped=b"x" * 10),
    "a tag of 4 bytes": lambda row: forge(row, tag_bytes=4),
    "a tag of 12 bytes": lambda row: forge(row, tag_bytes=12),
    "an iv of 8 bytes": lambda row: forge(row, iv=b"12345678"),
    "an iv of 16 bytes": lambda row: forge(row, iv=b"1" * 16),
    "nothing inside": lambda row: forge(row, plaintext=b""),
    "no object inside": lambda row: forge(row, plaintext=b'"o-1"'),
    "no JSON inside": lambda row: forge(row, plaintext=b"openid"),
    "duplicate names inside": lambda row: forge(row, plaintext=b'{"openid": "o-1", "openid": "o-2"}'),
    "invalid UTF-8 inside": lambda row: forge(row, plaintext=b'{"openid": "\xff"}'),
    "a byte order mark inside": lambda row: forge(row, plaintext=b'\xef\xbb\xbf{"openid": "o-1"}'),
    "NaN inside": lambda row: forge(row, plaintext=b'{"openid": NaN}'),
    "a deep nest inside": lambda row: forge(row, plaintext=b'{"a":' * 400),
    "an envelope inside": lambda row: forge(row, plaintext=forge(row).encode()),
    "too large": lambda row: forge(row, plaintext=b'{"openid": "%s"}' % (b"x" * 3_000)),
    "padding in base64": lambda row: forge(row).replace(".", "=.", 1),
    "a part more": lambda row: forge(row) + ".AAAA",
    "a part less": lambda row: forge(row).rpartition(".")[0],
    "an empty part": lambda row: ".".join([*forge(row).split(".")[:3], "", forge(row).split(".")[4]]),
    "the JSON serialization": lambda row: json.dumps({"protected": forge(row).split(".")[0], "ciphertext": "x"}),
    "a JWS": lambda row: ".".join(forge(row).split(".")[:3]),
    "white space": lambda row: forge(row) + "\n",
    "not ASCII": lambda row: forge(row) + "咖",
    "empty": lambda row: "",
}


@pytest.mark.parametrize("name", TRICKS)
def test_every_trick_gets_the_same_answer(ours, name):
    with pytest.raises(EnvelopeRefused) as refused:
        opened(TRICKS[name](ours))
    assert (type(refused.value), str(refused.value)) == (EnvelopeRefused, "ENVELOPE_NOT_OPENED")


def test_each_changed_character_is_noticed_or_means_the_same(ours):
    """The last character of a part has bits that nobody reads; everything else counts."""
    text = forge(ours)
    for index in range(0, len(text), 7):
        if text[index] != "." and text[index + 1 : index + 2] not in {".", ""}:
            with pytest.raises(EnvelopeRefused):
                opened(text[:index] + ("A" if text[index] != "A" else "B") + text[index + 1 :])


def test_an_envelope_of_one_app_is_not_one_of_another(ours):
    """Else whoever gets hold of one sends it in as its own, and has the payer told to its own key."""
    with pytest.raises(EnvelopeRefused):
        opened(forge(ours), app_id=APP + 1)


def test_the_previous_key_opens_during_the_overlap_and_not_after(ours, monkeypatch):
    monkeypatch.undo()
    now, text = timezone.now(), forge(ours)
    following = keys.create_platform_key(now=now, algorithm=Algorithm.RSA_OAEP_256)
    assert opened(forge(following)) == {"openid": "o-1"}, "published: merchants may begin to use it"
    keys.rotate_platform_key(now=now, algorithm=Algorithm.RSA_OAEP_256)
    assert opened(text) == opened(forge(following)) == {"openid": "o-1"}
    with pytest.raises(EnvelopeRefused):
        opened(text, now=now + timedelta(days=31))
    assert opened(forge(following), now=now + timedelta(days=31)) == {"openid": "o-1"}


def test_a_signing_key_of_ours_is_not_a_key_for_envelopes(platform_key):
    with pytest.raises(EnvelopeRefused):
        opened(forge(platform_key))


def test_the_registry_by_itself_refuses_what_the_header_check_refuses(ours, monkeypatch):
    """Two locks: with the strict reading of the header gone, the library still takes nothing else."""
    monkeypatch.setattr(envelopes, "_read_header", lambda text: {"kid": ours.pk, "iss": str(APP)})
    assert opened(forge(ours)) == {"openid": "o-1"}
    names = (
        "alg RSA1_5", "alg RSA-OAEP with SHA-1", "alg dir", "alg none", "enc A128GCM", "zip DEF", "crit", "a bomb",
        "a key of 16 bytes", "a tag of 4 bytes", "one more name",
    )  # fmt: skip
    for name in names:
        with pytest.raises(EnvelopeRefused):
            opened(TRICKS[name](ours))


# --- an app's own key for encryption ----------------------------------------------------------------------------------


def register(app, key, **more):
    offer = Offer(public_key_pem=harness.public_pem(key), purpose=Purpose.ENCRYPT, **more)
    return app_keys.offer_key(app_id=app.pk, offer=offer, by=BY, now=timezone.now())


def prove(row, proof):
    return app_keys.prove_key(app_id=row.app_id, serial_no=row.pk, proof=proof, by=BY, now=timezone.now())


def test_a_key_that_decrypts_is_proven_by_decrypting():
    key = harness.a_key()
    row, challenge = register(harness.an_app(), key)
    assert "fenpay-key-proof" not in challenge.text
    secret = decrypt_text(challenge.text, keys={row.pk: key})
    assert secret.startswith(f"fenpay-key-proof:{row.app_id}:{row.fingerprint}:")
    for wrong in ("", secret[:-1], secret.upper(), challenge.text, harness.sign(key, challenge.text.encode()),
                  challenge.answer_digest):  # fmt: skip
        with pytest.raises(ProofRefused):
            prove(row, wrong)
    assert prove(row, answer_challenge(key, challenge.text, serial_no=row.pk)).status == "active"


def test_only_rsa_decrypts_and_such_a_key_has_no_scopes():
    app = harness.an_app()
    with pytest.raises(UnknownAlgorithm):
        register(app, harness.an_ed25519_key())
    with pytest.raises(KeyLengthRefused):
        register(app, harness.a_key(1024))
    with pytest.raises(ScopesRefused):
        register(app, harness.a_key(), scopes=["queries:read"])
    row, _challenge = register(app, harness.a_key())
    assert (row.algorithm, row.scopes) == ("RSA-OAEP-256", [])


def an_encryption_key(app, key=None):
    pem = harness.public_pem(key or harness.a_key())
    return AppKey.register(app=app, public_key_pem=pem, purpose=Purpose.ENCRYPT, now=timezone.now())


def recipient(app, now=None):
    found = keyring.find_recipient(app_id=app.pk, now=now or timezone.now())
    return found and found.serial_no


def test_the_newest_active_key_is_encrypted_to_and_a_retiring_one_only_without_it():
    app, now = harness.an_app(), timezone.now()
    assert recipient(app) is None
    keyring.forget(app_id=app.pk, serial_no="x")
    old, new = an_encryption_key(app), an_encryption_key(app)
    assert recipient(app) == new.pk
    for row in (new, old):
        row.retire(not_after=now + timedelta(days=1), now=now)
        keyring.forget(app_id=app.pk, serial_no=row.pk)
        assert recipient(app) == (old.pk if row is new else new.pk)
    assert recipient(app, now=now + timedelta(days=2)) is None
    new.revoke(now=now)
    keyring.forget(app_id=app.pk, serial_no=new.pk)
    assert recipient(app) == old.pk


def test_a_pending_key_is_never_encrypted_to():
    app = harness.an_app()
    register(app, harness.a_key())
    assert recipient(app) is None


# --- the client -------------------------------------------------------------------------------------------------------


def test_the_client_opens_only_what_was_agreed():
    key: RSAPrivateKey = harness.a_key()
    config = Config(
        base_url="https://pay.example", app_id=str(APP), serial_no="x", private_key=harness.a_key(), platform_keys={},
        decryption_keys={"MY_KEY_01": key},
    )  # fmt: skip
    header = {"kid": "MY_KEY_01", "iss": "fenpay"}
    good = client_encrypt({"openid": "o"}, key=key.public_key(), header=header)
    assert decrypt(config, good) == {"openid": "o"}
    other = harness.a_key().public_key()
    for text in (
        client_encrypt({"openid": "o"}, key=key.public_key(), header={"kid": "OTHER_KEY", "iss": "fenpay"}),
        client_encrypt({"openid": "o"}, key=key.public_key(), header=header | {"zip": "DEF"}),
        client_encrypt({"openid": "o"}, key=other, header=header),
        good[:-30], good.rpartition(".")[0] + ".AAAA", "", "a.b.c.d.e", "咖.b.c.d.e", b64(b"[]") + ".b.c.d.e",
    ):  # fmt: skip
        with pytest.raises(NotOpened):
            decrypt(config, text)
    with pytest.raises(NotOpened):
        encrypt_payer(config, "o")
