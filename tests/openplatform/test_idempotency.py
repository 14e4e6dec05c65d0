"""`Idempotency-Key`: one key, one request, one answer; whoever dies in between leaves the work to the next."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from openplatform import idempotency
from openplatform.clocks import CLOCKS_APART_MAX
from openplatform.idempotency import Answer, KeyOfAnotherRequest, StillInFlight, begin, delete_old_keys, end
from openplatform.models import IdempotencyRecord
from openplatform.models.idempotency import KEPT_FOR, LEASE
from tests.openplatform import echo_urls, harness

KEY = "order-2026-01-02-0001"
COUNTED = "/openapi/v1/counted"
WHAT = ("POST", COUNTED, b'{"a": 1}')


@pytest.fixture(autouse=True)
def echo_addresses(settings):
    settings.ROOT_URLCONF = "tests.openplatform.echo_urls"
    echo_urls.counted.clear()


def ask(caller, body=b'{"status": 201}', *, key=KEY, target=COUNTED, method="POST"):
    return caller.send(method, target, body, HTTP_IDEMPOTENCY_KEY=key)


@pytest.mark.django_db
def test_the_same_request_under_the_same_key_is_carried_out_once_and_answered_the_same(caller):
    first, second = ask(caller), ask(caller)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert harness.is_signed_by_us(second)
    assert len(echo_urls.counted) == 1


@pytest.mark.django_db
def test_an_answer_without_a_body_is_given_again_without_one(caller):
    for answer in (ask(caller, b'{"status": 204}'), ask(caller, b'{"status": 204}')):
        assert (answer.status_code, answer.content) == (204, b"")
    assert len(echo_urls.counted) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("status", [202, 400, 403, 404, 409, 422, 429, 500, 503])
def test_what_says_nothing_of_a_deed_is_asked_anew(caller, status):
    """A 202 would tell for ever that nothing is known yet, and a refusal that there is no hope."""
    body = b'{"status": %d}' % status
    assert [ask(caller, body).status_code for _ in range(2)] == [status, status]
    assert len(echo_urls.counted) == 2
    assert not IdempotencyRecord.objects.exists()


@pytest.mark.django_db
def test_another_request_under_the_same_key_is_refused_and_not_carried_out(caller):
    ask(caller)
    for answer in (ask(caller, b'{"status": 201 }'), ask(caller, target=f"{COUNTED}?limit=1")):
        assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_MISMATCH")
        assert harness.is_signed_by_us(answer)
    assert len(echo_urls.counted) == 1


@pytest.mark.django_db
def test_while_it_is_worked_on_a_second_one_is_told_to_come_back(caller):
    target, body = COUNTED, b'{"status": 201}'
    begin(app_id=caller.app.pk, key=KEY, request=("POST", target, body), now=timezone.now())
    answer = ask(caller, body)
    assert (answer.status_code, answer.json()["code"]) == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert answer.headers["Retry-After"] == "1"
    assert echo_urls.counted == []


@pytest.mark.django_db
def test_a_key_belongs_to_its_app(caller):
    other = harness.Caller(harness.an_app())
    assert ask(caller).json()["app_id"] == str(caller.app.pk)
    assert ask(other).json()["app_id"] == str(other.app.pk)
    assert len(echo_urls.counted) == 2


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["short", "x" * 65, "with spaces in it", "a,b" * 10, "ключ-ключ-ключ-ключ", ""])
def test_a_malformed_key_is_refused_before_anything_is_done(caller, key):
    answer = ask(caller, key=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
    assert "Idempotency-Key" in answer.json()["detail"]
    assert echo_urls.counted == []


@pytest.mark.django_db
def test_a_read_has_no_use_for_a_key_and_ignores_it(caller):
    for _ in range(2):
        assert ask(caller, b"", target="/openapi/v1/echo", method="GET").status_code == 200
    assert not IdempotencyRecord.objects.exists()


@pytest.mark.django_db
def test_a_request_that_is_not_proven_claims_nothing(caller):
    stranger = harness.Caller(caller.app, key=harness.a_key(), serial_no=caller.serial_no)
    assert ask(stranger).status_code == 401
    assert not IdempotencyRecord.objects.exists()


@pytest.mark.django_db
def test_a_repeated_nonce_learns_nothing_about_the_answer_of_the_first(caller):
    signing = {"nonce_str": "n" * 32}
    target, body = COUNTED, b'{"status": 201}'
    codes = [caller.send("POST", target, body, signing=signing, HTTP_IDEMPOTENCY_KEY=KEY).status_code for _ in range(2)]
    assert codes == [201, 401]


@pytest.mark.django_db
@pytest.mark.parametrize("apart", [timedelta(milliseconds=1), CLOCKS_APART_MAX], ids=str)
def test_a_process_whose_clock_is_a_little_behind_takes_no_key_that_is_in_hand(caller, apart):
    now = timezone.now()
    begin(app_id=caller.app.pk, key=KEY, request=WHAT, now=now + apart)
    with pytest.raises(StillInFlight):
        begin(app_id=caller.app.pk, key=KEY, request=WHAT, now=now)


@pytest.mark.django_db
def test_a_holder_that_died_with_a_clock_that_was_a_day_ahead_holds_its_key_no_longer(caller):
    now = timezone.now()
    begin(app_id=caller.app.pk, key=KEY, request=WHAT, now=now + timedelta(days=1))
    heir = begin(app_id=caller.app.pk, key=KEY, request=WHAT, now=now)
    end(heir, Answer(status=201, content_type="application/json", body='"today"'))
    assert begin(app_id=caller.app.pk, key=KEY, request=WHAT, now=now).body == '"today"'


@pytest.mark.django_db
def test_after_the_lease_of_a_holder_that_died_exactly_one_takes_over(caller):
    now = timezone.now()
    dead = begin(app_id=caller.app.pk, key=KEY, request=WHAT, now=now)
    with pytest.raises(StillInFlight):
        begin(app_id=caller.app.pk, key=KEY, request=WHAT, now=now + LEASE - timedelta(milliseconds=1))
    later = now + LEASE + timedelta(seconds=1)
    with pytest.raises(KeyOfAnotherRequest):
        begin(app_id=caller.app.pk, key=KEY, request=("POST", COUNTED, b"{}"), now=later)
    heir = begin(app_id=caller.app.pk, key=KEY, request=WHAT, now=later)
    with pytest.raises(StillInFlight):
        begin(app_id=caller.app.pk, key=KEY, request=WHAT, now=later)
    # The dead one was only slow: what it found out counts no more, and it does not take the key away from its heir.
    end(dead, Answer(status=500, content_type="", body="too late"))
    end(dead, Answer(status=201, content_type="application/json", body='"too late"'))
    end(heir, Answer(status=201, content_type="application/json", body='"in time"'))
    again = begin(app_id=caller.app.pk, key=KEY, request=WHAT, now=later)
    assert isinstance(again, Answer)
    assert again.body == '"in time"'


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_exactly_one_holds_the_key(caller):
    app_id, now = caller.app.pk, timezone.now()

    def claim(_number):
        try:
            begin(app_id=app_id, key=KEY, request=WHAT, now=now)
        except StillInFlight:
            return "in flight"
        finally:
            connection.close()
        return "mine"

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(claim, range(8))) == {"mine": 1, "in flight": 7}


@pytest.mark.django_db(transaction=True)
def test_a_key_that_is_forgotten_just_now_is_claimed_anew(caller, monkeypatch):
    """The rival's row is there at the INSERT and gone at the SELECT: a claim must not stumble over that."""
    app_id, now = caller.app.pk, timezone.now()
    rival = begin(app_id=app_id, key=KEY, request=WHAT, now=now)
    real, calls = IdempotencyRecord.objects.bulk_create, []

    def bulk_create(rows, **options):
        done = real(rows, **options)
        calls.append(done)
        rival.forget()
        return done

    monkeypatch.setattr(IdempotencyRecord.objects, "bulk_create", bulk_create)
    assert isinstance(begin(app_id=app_id, key=KEY, request=WHAT, now=now), IdempotencyRecord)
    assert len(calls) == 2


@pytest.mark.django_db
def test_an_answer_that_cannot_be_kept_is_given_all_the_same(caller, monkeypatch, caplog):
    def fail(self, **_answer):
        raise DatabaseError("connection lost: host=10.0.0.5")

    monkeypatch.setattr(IdempotencyRecord, "finish", fail)
    assert ask(caller).status_code == 201
    assert "was not kept" in caplog.text
    assert "10.0.0.5" not in caplog.text


@pytest.mark.django_db
def test_keys_are_kept_for_a_week(caller):
    now = timezone.now()
    for name, age in (("a", KEPT_FOR + timedelta(minutes=1)), ("b", KEPT_FOR - timedelta(minutes=1))):
        begin(app_id=caller.app.pk, key=name * 16, request=WHAT, now=now - age)
    assert delete_old_keys(now=now) == 1
    assert IdempotencyRecord.objects.get().key == "b" * 16


@pytest.mark.django_db
def test_the_database_refuses_an_answer_that_is_none(caller):
    record = begin(app_id=caller.app.pk, key=KEY, request=WHAT, now=timezone.now())
    with pytest.raises(IntegrityError, match="idempotency_done_has_answer"), transaction.atomic():
        IdempotencyRecord.objects.filter(pk=record.pk).update(status="done")


def test_no_two_requests_have_one_fingerprint():
    parts = [("POST", "/a", b"bc"), ("POST", "/ab", b"c"), ("POS", "T/a", b"bc"), ("POST", "/a", b"bc ")]
    assert len({idempotency._fingerprint(*each) for each in parts}) == len(parts)
