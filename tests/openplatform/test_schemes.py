"""Two algorithms, and no way to have one taken for the other; one current key of ours for each, and how they change."""

import base64
import hashlib
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from django.core.management import CommandError, call_command
from django.utils import timezone

from openplatform import keyring, keys
from openplatform.caches import clear_all
from openplatform.key_material import Algorithm, Purpose, WeakKey, new_pair, read_public_key
from openplatform.key_states import MoveRefused
from openplatform.models import AppKey, KeyEvent, PlatformKey
from openplatform.models.keys import PlatformKeyStatus
from openplatform.signature import Ed25519PublicKey, RsaPublicKey, sign
from tests.openplatform import echo_urls, harness, openssl

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.openplatform.echo_urls")]
ECHO, GUARDED = "/openapi/v1/echo", "/openapi/v1/guarded"
ED25519 = Algorithm.ED25519
P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493


@pytest.fixture
def modern(platform_key):
    """A merchant whose key is Ed25519."""
    return harness.Caller(harness.an_app(), key=harness.an_ed25519_key())


@pytest.fixture(autouse=True)
def nothing_reached():
    echo_urls.reached.clear()


def refused(answer, status=401, code="SIGN_ERROR"):
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert echo_urls.reached == []


def test_a_request_signed_with_ed25519_is_answered(modern):
    answer = modern.post(ECHO, {"a": "咖"})
    assert (answer.status_code, answer.json()["got"]) == (201, {"a": "咖"})


def test_it_is_answered_in_its_own_algorithm_once_we_have_a_key_for_that(modern, caller):
    assert modern.get(ECHO).headers["Fenpay-Signature-Type"] == "FENPAY-SHA256-RSA2048"
    keys.ensure_platform_key(now=timezone.now(), algorithm=ED25519)
    answer = modern.get(ECHO)
    assert answer.headers["Fenpay-Signature-Type"] == "FENPAY-ED25519"
    assert harness.is_signed_by_us(answer)
    assert caller.get(ECHO).headers["Fenpay-Signature-Type"] == "FENPAY-SHA256-RSA2048"


def test_what_we_sign_is_proven_by_openssl(tmp_path):
    for algorithm in (Algorithm.RSA_SHA256, ED25519):
        key = keys.ensure_platform_key(now=timezone.now(), algorithm=algorithm)
        signature = keys.signer(now=timezone.now(), algorithm=algorithm).sign(b"message")
        proof = {"pem": key.public_key_pem, "signature": signature}
        assert openssl.verifies(tmp_path, message=b"message", **proof)
        assert not openssl.verifies(tmp_path, message=b"messagf", **proof)


# --- one key, one algorithm -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["FENPAY-SHA256-RSA2048", "WECHATPAY2-SHA256-RSA2048", "FENPAY-ED448", "NONE"])
def test_an_ed25519_key_signs_under_its_own_scheme_only(platform_key, scheme):
    modern = harness.Caller(harness.an_app(accepts_wechatpay_scheme=True), key=harness.an_ed25519_key())
    refused(modern.get(ECHO, authorization=modern.authorization("GET", ECHO, scheme=scheme)))


def test_an_rsa_key_signs_under_its_own_schemes_only(caller):
    refused(caller.get(ECHO, authorization=caller.authorization("GET", ECHO, scheme="FENPAY-ED25519")))


def test_a_public_key_is_not_taken_for_a_secret_or_for_another_kind_of_key(modern, caller):
    """The classic confusion: sign with what everybody knows of the victim, under another scheme."""
    seed = hashlib.sha256(harness.public_pem(caller.key).encode()).digest()
    forged = harness.Caller(
        caller.app, key=ed25519.Ed25519PrivateKey.from_private_bytes(seed), serial_no=caller.serial_no
    )
    for scheme in ("FENPAY-ED25519", "FENPAY-SHA256-RSA2048"):
        refused(forged.get(ECHO, authorization=forged.authorization("GET", ECHO, scheme=scheme)))
    forged = harness.Caller(modern.app, key=harness.a_key(), serial_no=modern.serial_no)
    for scheme in ("FENPAY-ED25519", "FENPAY-SHA256-RSA2048"):
        refused(forged.get(ECHO, authorization=forged.authorization("GET", ECHO, scheme=scheme)))


def test_a_key_for_encryption_signs_nothing(caller):
    key = harness.a_key()
    row = AppKey.register(
        app=caller.app, public_key_pem=harness.public_pem(key), purpose=Purpose.ENCRYPT, now=timezone.now()
    )
    refused(harness.Caller(caller.app, key=key, serial_no=row.pk).get(ECHO))


def with_s_moved(signature):
    """S larger by the group's order: the same equation, another text."""
    moved = int.from_bytes(signature[32:], "little") + ORDER
    return signature[:32] + moved.to_bytes(32, "little")


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s[:-1], lambda s: s + b"\0", lambda s: s[:32], lambda s: s[32:] + s[:32], lambda s: bytes(64),
        with_s_moved,
    ],
)  # fmt: skip
def test_a_signature_of_another_form_is_not_one(modern, change):
    params = modern.params("GET", ECHO)
    changed = base64.b64encode(change(base64.b64decode(params["signature"]))).decode()
    header = harness.header(params | {"signature": changed}, scheme="FENPAY-ED25519")
    refused(modern.get(ECHO, authorization=header))
    assert modern.get(ECHO, authorization=harness.header(params, scheme="FENPAY-ED25519")).status_code == 200


def test_a_signature_of_64_bytes_costs_the_same_verification_whoever_is_named(modern, caller, monkeypatch):
    """One on Edwards' curve and none with RSA, also for those who have no such key."""
    verified = []

    def counted(kind, real):
        def verifies(self, *, message, signature):
            if len(signature) == self.signature_bytes:
                verified.append(kind)
            return real(self, message=message, signature=signature)

        return verifies

    for kind in (RsaPublicKey, Ed25519PublicKey):
        monkeypatch.setattr(kind, "verifies", counted(kind, kind.verifies))
    signature = base64.b64encode(b"\x01" * 64).decode()
    for sender in (modern, caller):
        for scheme in ("FENPAY-ED25519", "FENPAY-SHA256-RSA2048"):
            for named in ({}, {"serial_no": "NO_SUCH_KEY"}, {"mchid": "1234567890123456789"}):
                verified.clear()
                sender.get(ECHO, signing={"signature": signature, "scheme": scheme} | named)
                assert verified == [Ed25519PublicKey], (scheme, named)


def test_the_decoy_is_a_key_like_any_other_and_its_yes_is_no():
    """A decoy that is no point of the curve would be refused early, and faster."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"fenpay decoy").digest())
    assert keyring.decoy(64).verifies(message=b"x", signature=base64.b64decode(sign(private, b"x")))


def test_what_the_decoy_accepts_is_refused_all_the_same(modern):
    private = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"fenpay decoy").digest())
    forged = harness.Caller(modern.app, key=private, serial_no="NO_SUCH_KEY")
    refused(forged.get(ECHO))


# --- points that prove nothing ----------------------------------------------------------------------------------------


def edwards(first, second):
    """The sum of two points in affine coordinates (RFC 8032, 5.1)."""
    d = -121665 * pow(121666, -1, P)
    (x1, y1), (x2, y2) = first, second
    both = d * x1 * x2 * y1 * y2
    return (x1 * y2 + y1 * x2) * pow(1 + both, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - both, -1, P) % P


def x_of(y):
    d = -121665 * pow(121666, -1, P)
    square = (y * y - 1) * pow(d * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    if root * root % P != square:
        root = root * pow(2, (P - 1) // 4, P) % P
    return root if root * root % P == square else None


def spki(raw):
    """Bytes as the public key that they claim to be; nothing checks that they are a point."""
    der = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + raw).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n"


def small_order_points():
    """All eight: the multiples of a point of order eight, by arithmetic and not by the list that is tested."""
    y = next(y for y in (26, *range(3, 400)) if x_of(y) is not None)
    while True:
        point, base, scalar = (0, 1), (x_of(y), y), ORDER
        while scalar:
            point = edwards(point, base) if scalar & 1 else point
            base, scalar = edwards(base, base), scalar >> 1
        eight = [(0, 1)]
        for _ in range(7):
            eight.append(edwards(eight[-1], point))
        if len(set(eight)) == 8:
            return eight
        y = next(other for other in range(y + 1, y + 400) if x_of(other) is not None)


def test_a_point_of_small_order_is_refused_in_every_spelling():
    points = small_order_points()
    for x, y in points:
        for sign_bit in (x & 1, 1 - (x & 1)):
            for spelled in (y, y + P):
                if spelled < 2**255:
                    raw = (spelled | sign_bit << 255).to_bytes(32, "little")
                    with pytest.raises(WeakKey):
                        read_public_key(spki(raw))


def test_such_a_point_would_have_proven_anything():
    """Why: under the neutral point the signature (R = S·B) is good for every message. OpenSSL does not mind."""
    neutral = ed25519.Ed25519PublicKey.from_public_bytes((1).to_bytes(32, "little"))
    base_point = bytes.fromhex("5866666666666666666666666666666666666666666666666666666666666666")
    for message in (b"pay", b"anything else"):
        neutral.verify(base_point + (1).to_bytes(32, "little"), message)


def test_a_second_spelling_of_a_point_is_not_a_second_key():
    for y in range(2, 19):
        with pytest.raises(WeakKey):
            read_public_key(spki((y + P).to_bytes(32, "little")))
    assert read_public_key(harness.public_pem(harness.an_ed25519_key())).algorithm == ED25519


# --- scopes: what the gate lets through -------------------------------------------------------------------------------


def test_a_key_does_what_its_scopes_say_and_is_told_which_one_it_lacks(platform_key):
    reader = harness.Caller(harness.an_app(), scopes=["queries:read"])
    assert reader.get(GUARDED).status_code == 200
    echo_urls.reached.clear()
    answer = reader.post(GUARDED, {})
    refused(answer, 403, "NO_AUTH")
    assert "refunds:write" in answer.json()["detail"]
    assert harness.is_signed_by_us(answer)


def test_a_method_about_which_a_view_says_nothing_is_closed(caller):
    refused(caller.send("DELETE", GUARDED), 403, "NO_AUTH")


def test_a_stranger_is_not_told_about_scopes(platform_key):
    reader = harness.Caller(harness.an_app(), scopes=["queries:read"])
    refused(reader.post(GUARDED, {}, authorization=reader.authorization("POST", GUARDED, b"[]")))


# --- our own keys -----------------------------------------------------------------------------------------------------


def test_there_is_one_current_key_for_each_algorithm_and_all_are_listed(caller):
    made = keys.ensure_platform_keys(now=timezone.now())
    assert [key.pk for key in keys.ensure_platform_keys(now=timezone.now())] == [key.pk for key in made]
    listed = caller.get("/openapi/v1/platform-keys").json()["platform_keys"]
    assert {(key["purpose"], key["algorithm"], key["status"]) for key in listed} == {
        ("sign", "RSA-SHA256", "current"), ("sign", "ED25519", "current"), ("encrypt", "RSA-OAEP-256", "current"),
    }  # fmt: skip
    assert len({key["public_key_pem"] for key in listed}) == 3
    assert "PRIVATE" not in str(listed)


def test_a_key_of_ours_for_encryption_never_signs_an_answer(caller):
    encryption = keys.ensure_platform_key(now=timezone.now(), algorithm=Algorithm.RSA_OAEP_256)
    assert caller.get(ECHO, HTTP_FENPAY_SERIAL=encryption.pk).headers["Fenpay-Serial"] != encryption.pk
    assert keys.decryption_key(serial_no=encryption.pk, now=timezone.now()) is not None


def test_a_signing_key_of_ours_never_decrypts(platform_key):
    assert keys.decryption_key(serial_no=platform_key.pk, now=timezone.now()) is None


def test_each_algorithm_rotates_by_itself_and_the_old_key_still_serves_those_who_ask_for_it(modern, caller):
    now = timezone.now()
    rsa, old = keys.ensure_platform_key(now=now), keys.ensure_platform_key(now=now, algorithm=ED25519)
    new = keys.create_platform_key(now=now, algorithm=ED25519)
    assert modern.get(ECHO).headers["Fenpay-Serial"] == old.pk
    assert modern.get(ECHO, HTTP_FENPAY_SERIAL=new.pk).headers["Fenpay-Serial"] == new.pk, "published signs if asked"
    keys.rotate_platform_key(now=now, algorithm=ED25519)
    assert modern.get(ECHO).headers["Fenpay-Serial"] == new.pk
    answer = modern.get(ECHO, HTTP_FENPAY_SERIAL=old.pk)
    assert (answer.headers["Fenpay-Serial"], harness.is_signed_by_us(answer)) == (old.pk, True)
    assert caller.get(ECHO).headers["Fenpay-Serial"] == rsa.pk
    with pytest.raises(keys.NoPlatformKey):
        keys.rotate_platform_key(now=now)


def test_the_wechat_headers_are_only_made_by_a_key_of_that_scheme(platform_key):
    keys.ensure_platform_key(now=timezone.now(), algorithm=ED25519)
    switched = harness.Caller(harness.an_app(accepts_wechatpay_scheme=True), key=harness.an_ed25519_key())
    answer = switched.get(ECHO)
    assert answer.headers["Fenpay-Signature-Type"] == "FENPAY-ED25519"
    assert "Wechatpay-Signature" not in answer.headers
    answer = switched.get(ECHO, HTTP_FENPAY_SERIAL=platform_key.pk)
    assert harness.is_signed_by_us(answer, prefix="Wechatpay")
    assert answer.headers["Fenpay-Signature-Type"] == "FENPAY-SHA256-RSA2048"


def test_the_next_key_signs_its_share_of_the_notifications_and_each_event_keeps_its_signer(platform_key):
    now, events = timezone.now(), range(10**18, 10**18 + 2_000)
    following = keys.create_platform_key(now=now)

    def signed_by_next(share):
        keys.share_notifications(share=share, now=now)
        return {event for event in events if keys.signer(now=now, event_id=event).serial_no == following.pk}

    none, some, more, every = (signed_by_next(share) for share in (0, 10, 60, 100))
    assert (len(none), len(every)) == (0, 2_000)
    assert 120 < len(some) < 280
    assert some < more < every, "a growing share moves events on, and none back"
    assert signed_by_next(10) == some
    assert keys.signer(now=now).serial_no == platform_key.pk, "answers are not notifications"
    keys.rotate_platform_key(now=now)
    assert {keys.signer(now=now, event_id=event).serial_no for event in events} == {following.pk}
    assert PlatformKey.objects.get(pk=following.pk).notify_share == 0


def test_only_the_next_key_that_signs_has_a_share(platform_key):
    now = timezone.now()
    with pytest.raises(keys.NoPlatformKey):
        keys.share_notifications(share=10, now=now)
    first, second = keys.create_platform_key(now=now), keys.create_platform_key(now=now + timedelta(seconds=1))
    with pytest.raises(MoveRefused):
        keys.share_notifications(share=10, now=now, serial_no=second.pk)
    for share in (-1, 101):
        with pytest.raises(MoveRefused):
            keys.share_notifications(share=share, now=now)
    assert keys.share_notifications(share=10, now=now).pk == first.pk
    keys.ensure_platform_key(now=now, algorithm=Algorithm.RSA_OAEP_256)
    keys.create_platform_key(now=now, algorithm=Algorithm.RSA_OAEP_256)
    with pytest.raises(MoveRefused):
        keys.share_notifications(share=10, now=now, algorithm=Algorithm.RSA_OAEP_256)


def test_the_command_does_all_of_it_for_each_algorithm(capsys):
    def said(*arguments):
        call_command("platform_key", *arguments)
        return capsys.readouterr().out

    assert len(said("ensure").splitlines()) == 3
    for algorithm in Algorithm:
        assert "published" in said("create", "--algorithm", algorithm)
        if algorithm.purpose is Purpose.SIGN:
            assert "25 % of notifications" in said("share", "25", "--algorithm", algorithm)
        assert "current" in said("rotate", "--algorithm", algorithm)
        with pytest.raises(CommandError, match="No key of"):
            said("rotate", "--algorithm", algorithm)
    said("create")
    for wrong in (["share"], ["share", "101"]):
        with pytest.raises(CommandError, match="0 to 100"):
            said(*wrong)
    assert len(said("list").splitlines()) == 7
    assert KeyEvent.objects.filter(kind="promoted").count() == 3


def test_rows_that_name_a_purpose_and_an_algorithm_of_the_other_are_refused(platform_key):
    facts, der = new_pair(ED25519)
    row = PlatformKey.publish(
        pair=(facts, der), status=PlatformKeyStatus.PUBLISHED, now=timezone.now(), lifetime=timedelta(days=1)
    )
    row.purpose = "encrypt"
    with pytest.raises(Exception, match=r"(refused|violates)"):
        row.save()
    clear_all()
