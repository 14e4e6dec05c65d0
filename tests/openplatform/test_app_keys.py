"""A merchant's key from the first offer to its end: who may do what to it, and what proves that it is theirs."""

import itertools
from datetime import timedelta

import pytest
from django.utils import timezone

from openplatform import app_keys, key_states, keyring
from openplatform.app_keys import Offer
from openplatform.caches import clear_all
from openplatform.key_material import PrivateKeyPasted, Purpose
from openplatform.key_states import MOVES, Actor, ActorKind, AppKeyStatus, KeyEventKind
from openplatform.models import AppKey
from openplatform.nonces import remember_revocation
from openplatform.scopes import DEFAULT_SCOPES, Scope
from openplatform.store import store
from tests.openplatform import harness, openssl

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.openplatform.echo_urls")]
KEYS, ECHO = "/openapi/v1/keys", "/openapi/v1/echo"
BY = Actor(ActorKind.OPERATOR, "op")


def offer(app, key=None, *, now=None, **more):
    pem = harness.public_pem(key or harness.a_key())
    return app_keys.offer_key(app_id=app.pk, offer=Offer(public_key_pem=pem, **more), by=BY, now=now or timezone.now())


def prove(row, proof, *, app=None, now=None):
    app_id = (app or row.app).pk
    return app_keys.prove_key(app_id=app_id, serial_no=row.pk, proof=proof, by=BY, now=now or timezone.now())


def refused(answer, status, code):
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.content
    assert harness.is_signed_by_us(answer)


# --- registering by API, with a pair that only openssl has seen -----------------------


@pytest.mark.parametrize("algorithm", ["RSA-SHA256", "ED25519"])
def test_a_key_is_registered_proven_by_openssl_and_signs_its_first_request(manager, tmp_path, algorithm):
    pair = openssl.Pair(tmp_path, algorithm=algorithm)
    answer = manager.post(KEYS, {"public_key_pem": pair.public_pem, "scopes": ["queries:read"]})
    pending = answer.json()
    assert (answer.status_code, pending["status"], pending["algorithm"]) == (201, "pending", algorithm)
    assert pending["challenge"]["how"] == "sign"
    proof = pair.sign(pending["challenge"]["text"].encode())
    active = manager.post(f"{KEYS}/{pending['serial_no']}/prove", {"proof": proof}).json()
    assert (active["status"], active["scopes"], active["challenge"]) == ("active", ["queries:read"], None)

    class Openssl(harness.Caller):
        def params(self, method, target, body=b"", **changes):
            values = {"mchid": str(self.app.pk), "serial_no": self.serial_no, "nonce_str": "n" * 20} | changes
            values["timestamp"] = str(int(timezone.now().timestamp()))
            lines = f"{method}\n{target}\n{values['timestamp']}\n{values['nonce_str']}\n".encode() + body + b"\n"
            return values | {"signature": pair.sign(lines)}

    key = harness.a_key() if algorithm == "RSA-SHA256" else harness.an_ed25519_key()  # only for the scheme's name
    assert Openssl(manager.app, key=key, serial_no=pending["serial_no"]).get(ECHO).status_code == 200


def test_a_pending_key_signs_nothing(manager):
    key = harness.a_key()
    pending = manager.post(KEYS, {"public_key_pem": harness.public_pem(key)}).json()
    assert harness.Caller(manager.app, key=key, serial_no=pending["serial_no"]).get(ECHO).status_code == 401


def test_the_list_shows_every_key_the_app_ever_had_and_nothing_of_other_apps(manager):
    harness.Caller(harness.an_app(), key=harness.a_key())
    row, _challenge = offer(manager.app)
    row.revoke(now=timezone.now())
    shown = manager.get(KEYS).json()["keys"]
    assert {key["serial_no"]: key["status"] for key in shown} == {manager.serial_no: "active", row.pk: "revoked"}
    assert not {"private_key", "private_key_pem"} & set(shown[0])


def test_the_same_offer_again_is_the_same_key_with_a_new_challenge(manager):
    body = {"public_key_pem": harness.public_pem(harness.a_key()), "scopes": ["queries:read"]}
    first, second = manager.post(KEYS, body).json(), manager.post(KEYS, body).json()
    assert first["serial_no"] == second["serial_no"]
    assert first["challenge"]["text"] != second["challenge"]["text"]
    refused(manager.post(KEYS, body | {"scopes": ["bills:read"]}), 422, "KEY_ALREADY_REGISTERED")


def test_a_private_key_that_is_sent_is_refused_and_not_repeated(manager):
    pem = harness.private_pem(harness.a_key())
    answer = manager.post(KEYS, {"public_key_pem": pem})
    refused(answer, 422, PrivateKeyPasted.code)
    assert pem[40:90] not in answer.content.decode()


@pytest.mark.parametrize(
    "body",
    [
        {}, {"public_key_pem": 1}, {"public_key_pem": "x", "scopes": []}, {"public_key_pem": "x", "scopes": "all"},
        {"public_key_pem": "x", "scopes": ["all"]}, {"public_key_pem": "x", "purpose": "both"},
        {"public_key_pem": "x", "algorithm": "none"}, {"public_key_pem": "x", "not_after": "tomorrow"},
    ],
)  # fmt: skip
def test_an_offer_that_is_not_well_formed_names_its_field(manager, body):
    refused(manager.post(KEYS, body), 400, "PARAM_ERROR")
    assert AppKey.objects.count() == 1


def test_a_key_counts_between_the_times_that_were_asked_for(manager):
    key, now = harness.a_key(), timezone.now()
    row, challenge = offer(manager.app, key, not_before=now + timedelta(hours=1), not_after=now + timedelta(hours=2))
    row = prove(row, harness.sign(key, challenge.text.encode()))
    assert [row.is_live(now=now + timedelta(hours=hours)) for hours in (0, 1, 2)] == [False, True, False]
    for not_after in (now - timedelta(seconds=1), now + timedelta(minutes=30)):
        with pytest.raises(key_states.LifetimeRefused):
            offer(manager.app, not_before=now + timedelta(hours=1), not_after=not_after)


# --- possession -----------------------------------------------------------------------------------------------------


def test_a_challenge_is_answered_once_and_by_the_right_key_only(manager):
    key, other = harness.a_key(), harness.a_key()
    row, challenge = offer(manager.app, key)
    text = challenge.text.encode()
    for wrong in (
        harness.sign(other, text), harness.sign(key, text + b"\n"), harness.sign(key, b"GET\n/x\n1\nn\n\n"),
        "", "!", "QUFB", challenge.text, "x" * 5_000,
    ):  # fmt: skip
        with pytest.raises(key_states.ProofRefused):
            prove(row, wrong)
    assert AppKey.objects.get(pk=row.pk).status == AppKeyStatus.PENDING
    proof = harness.sign(key, text)
    assert prove(row, proof).status == AppKeyStatus.ACTIVE
    with pytest.raises(key_states.MoveRefused):
        prove(row, proof)


def test_a_challenge_that_was_replaced_is_void(manager):
    key = harness.a_key()
    row, first = offer(manager.app, key)
    app_keys.challenge_key(app_id=manager.app.pk, serial_no=row.pk, by=BY, now=timezone.now())
    with pytest.raises(key_states.ProofRefused):
        prove(row, harness.sign(key, first.text.encode()))


def test_a_challenge_ends_after_ten_minutes(manager):
    key, now = harness.a_key(), timezone.now()
    row, challenge = offer(manager.app, key, now=now)
    proof = harness.sign(key, challenge.text.encode())
    with pytest.raises(key_states.ChallengeOver):
        prove(row, proof, now=now + timedelta(minutes=10))
    assert prove(row, proof, now=now + timedelta(minutes=9, seconds=59)).status == AppKeyStatus.ACTIVE


def test_the_proof_for_one_app_is_none_for_another(manager):
    """Two apps offer the same key; whoever cannot sign its own challenge gets nothing from the other's proof."""
    key, other = harness.a_key(), harness.an_app()
    mine, my_challenge = offer(manager.app, key)
    theirs, their_challenge = offer(other, key)
    assert str(manager.app.pk) in my_challenge.text
    with pytest.raises(key_states.ProofRefused):
        prove(theirs, harness.sign(key, my_challenge.text.encode()))
    with pytest.raises(app_keys.AppKeyNotFound):
        prove(mine, harness.sign(key, my_challenge.text.encode()), app=other)
    prove(mine, harness.sign(key, my_challenge.text.encode()))
    with pytest.raises(key_states.KnownFingerprint):
        prove(theirs, harness.sign(key, their_challenge.text.encode()))
    assert AppKey.objects.get(pk=theirs.pk).status == AppKeyStatus.PENDING


def test_whoever_only_knows_a_public_key_cannot_keep_its_owner_from_registering_it(manager):
    key = harness.a_key()
    squatted, _challenge = offer(harness.an_app(), key)
    row, challenge = offer(manager.app, key)
    assert prove(row, harness.sign(key, challenge.text.encode())).status == AppKeyStatus.ACTIVE
    assert AppKey.objects.get(pk=squatted.pk).status == AppKeyStatus.PENDING


def test_a_key_that_was_proven_once_is_nobody_elses_for_ever(manager):
    key = harness.a_key()
    row, challenge = offer(manager.app, key)
    prove(row, harness.sign(key, challenge.text.encode())).revoke(now=timezone.now())
    for app, purpose in itertools.product((manager.app, harness.an_app()), Purpose):
        with pytest.raises(key_states.KnownFingerprint):
            offer(app, key, purpose=purpose)


# --- scopes ---------------------------------------------------------------------------------------------------------


def test_a_key_can_give_no_scope_that_it_does_not_have(platform_key):
    limited = harness.Caller(harness.an_app(), scopes=["keys:manage", "queries:read"])
    pem = harness.public_pem(harness.a_key())
    for scopes in (["refunds:write"], ["queries:read", "bills:read"], None):
        body = {"public_key_pem": pem} | ({"scopes": scopes} if scopes else {})
        refused(limited.post(KEYS, body), 403, "KEY_SCOPES_EXCEEDED")
    assert limited.post(KEYS, {"public_key_pem": pem, "scopes": ["queries:read"]}).status_code == 201


def test_a_key_without_keys_manage_cannot_even_look(caller):
    row, _challenge = offer(caller.app)
    assert "keys:manage" not in DEFAULT_SCOPES
    for answer in (
        caller.get(KEYS), caller.post(KEYS, {"public_key_pem": "x"}), caller.post(f"{KEYS}/{row.pk}/prove", {}),
        caller.post(f"{KEYS}/{row.pk}/retire", {}), caller.post(f"{KEYS}/{row.pk}/revoke", {}),
    ):  # fmt: skip
        refused(answer, 403, "NO_AUTH")


def test_another_apps_keys_do_not_exist(manager):
    other = harness.Caller(harness.an_app(), key=harness.a_key())
    for verb, body in (("prove", {"proof": "x"}), ("retire", {}), ("revoke", {"force": True})):
        refused(manager.post(f"{KEYS}/{other.serial_no}/{verb}", body), 404, "NOT_FOUND")
    assert AppKey.objects.get(pk=other.serial_no).status == AppKeyStatus.ACTIVE


# --- the end of a key -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "kind"), [*itertools.product(AppKeyStatus, KeyEventKind)])
def test_each_state_takes_the_events_of_the_table_and_no_other(status, kind):
    if (status, kind) in MOVES:
        assert key_states.next_status(status, kind) == MOVES[status, kind]
    else:
        with pytest.raises(key_states.MoveRefused):
            key_states.next_status(status, kind)


def test_two_keys_work_side_by_side_until_the_old_one_has_run_out(manager):
    following = harness.Caller(manager.app, key=harness.a_key(), scopes=Scope.values)
    answer = following.post(f"{KEYS}/{manager.serial_no}/retire", {})
    assert (answer.status_code, answer.json()["status"]) == (200, "retiring")
    row = AppKey.objects.get(pk=manager.serial_no)
    assert abs(row.not_after - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)
    clear_all()
    assert manager.get(ECHO).status_code == following.get(ECHO).status_code == 200
    assert row.is_live(now=row.not_after - timedelta(seconds=1))
    assert not row.is_live(now=row.not_after)


def test_a_retiring_key_can_only_end_sooner(manager):
    now, week = timezone.now(), timedelta(days=7)
    retire = lambda days: app_keys.retire_key(  # noqa: E731
        app_id=manager.app.pk, serial_no=manager.serial_no, not_after=now + timedelta(days=days), force=True, by=BY,
        now=now,
    ).not_after - now  # fmt: skip
    assert [retire(7), retire(30), retire(1), retire(7)] == [week, week, timedelta(days=1), timedelta(days=1)]
    with pytest.raises(key_states.LifetimeRefused):
        retire(-1)
    with pytest.raises(key_states.MoveRefused):  # it has run out: nothing brings it back
        app_keys.retire_key(
            app_id=manager.app.pk, serial_no=manager.serial_no, not_after=now + week, force=True, by=BY, now=now + week
        )


def test_the_last_key_with_keys_manage_ends_only_when_that_is_meant(manager):
    for verb in ("retire", "revoke"):
        refused(manager.post(f"{KEYS}/{manager.serial_no}/{verb}", {}), 409, "KEY_LAST_MANAGER")
    second = harness.Caller(manager.app, key=harness.a_key(), scopes=["keys:manage"])
    assert second.post(f"{KEYS}/{manager.serial_no}/retire", {}).status_code == 200
    refused(second.post(f"{KEYS}/{second.serial_no}/revoke", {}), 409, "KEY_LAST_MANAGER")  # the other one ends soon
    assert second.post(f"{KEYS}/{second.serial_no}/revoke", {"force": True}).json()["status"] == "revoked"


def test_a_revoked_key_never_comes_back(manager):
    key = harness.a_key()
    row, challenge = offer(manager.app, key)
    row = prove(row, harness.sign(key, challenge.text.encode()))
    revoke = {"app_id": manager.app.pk, "serial_no": row.pk, "by": BY, "now": timezone.now()}
    app_keys.revoke_key(**revoke)
    assert app_keys.revoke_key(**revoke).status == AppKeyStatus.REVOKED
    for deed in (
        lambda: prove(row, harness.sign(key, challenge.text.encode())),
        lambda: app_keys.retire_key(**revoke, not_after=timezone.now() + timedelta(days=1)),
        lambda: app_keys.challenge_key(app_id=manager.app.pk, serial_no=row.pk, by=BY, now=timezone.now()),
    ):
        with pytest.raises(key_states.MoveRefused):
            deed()
    assert AppKey.objects.get(pk=row.pk).status == AppKeyStatus.REVOKED


def test_a_revocation_is_known_at_once_to_a_process_that_still_believes_its_cache(manager, monkeypatch):
    victim = harness.Caller(manager.app, key=harness.a_key())
    assert victim.get(ECHO).status_code == 200
    monkeypatch.setattr(keyring, "forget", lambda **_: None)  # as in another process
    AppKey.objects.get(pk=victim.serial_no).revoke(now=timezone.now())
    assert victim.get(ECHO).status_code == 200, "the row alone is noticed only after the cache's lifetime"
    remember_revocation(victim.serial_no)
    answer = victim.get(ECHO)
    assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")
    assert not harness.is_signed_by_us(answer), "for us it is a stranger by now"
    with store() as client:
        assert 5 < client.ttl(f"revoked:{victim.serial_no}") <= 60


def test_revoking_tells_the_store_and_forgets_the_cached_key(manager, django_capture_on_commit_callbacks):
    victim = harness.Caller(manager.app, key=harness.a_key())
    assert victim.get(ECHO).status_code == 200
    with django_capture_on_commit_callbacks(execute=True):
        assert manager.post(f"{KEYS}/{victim.serial_no}/revoke", {}).status_code == 200
    with store() as client:
        assert client.exists(f"revoked:{victim.serial_no}")
    assert victim.get(ECHO).status_code == 401


def test_a_store_that_is_down_does_not_keep_a_key_from_being_revoked(
    manager, settings, django_capture_on_commit_callbacks
):
    victim = harness.Caller(manager.app, key=harness.a_key())
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    with django_capture_on_commit_callbacks(execute=True):
        app_keys.revoke_key(app_id=manager.app.pk, serial_no=victim.serial_no, by=BY, now=timezone.now())
    assert AppKey.objects.get(pk=victim.serial_no).status == AppKeyStatus.REVOKED


def test_a_key_that_was_just_revoked_cannot_make_itself_a_successor(manager):
    """Other processes believe their cache for some seconds: long enough to register and prove a key."""
    key = harness.a_key()
    row, challenge = offer(manager.app, key)
    assert manager.get(ECHO).status_code == 200
    AppKey.objects.get(pk=manager.serial_no).revoke(now=timezone.now())
    assert manager.get(ECHO).status_code == 200, "the gate of this process does not know yet"
    offered = {"public_key_pem": harness.public_pem(harness.a_key())}
    proof = {"proof": harness.sign(key, challenge.text.encode())}
    for path, body in ((KEYS, offered), (f"{KEYS}/{row.pk}/prove", proof), (f"{KEYS}/{row.pk}/revoke", {})):
        refused(manager.post(path, body), 401, "SIGN_ERROR")
    assert [key.status for key in AppKey.objects.order_by("created_at")] == ["revoked", "pending"]
