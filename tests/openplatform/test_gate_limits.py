"""Limits at the gate: who is counted by what, what he is told, and whose quota nobody else can spend."""

import re

import pytest
from django.utils import timezone

from openplatform import limits, store
from openplatform.caches import clear_all
from openplatform.models import RateRule
from openplatform.models.limits import RuleTerms
from openplatform.problems import RateLimited
from tests.openplatform import echo_urls, harness
from tests.openplatform.harness import is_signed_by_us

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.openplatform.echo_urls")]
ECHO = "/openapi/v1/echo"
MERCHANTS_NAT, STRANGER = {"REMOTE_ADDR": "203.0.113.9"}, {"REMOTE_ADDR": "198.51.100.7"}


@pytest.fixture(autouse=True)
def rule(db):
    """`rule(scope=..., limit=...)`: one rule more, in place of all that the migration brought."""
    RateRule.objects.all().delete()
    echo_urls.reached.clear()

    def rule(**terms):
        clear_all()
        return RateRule.add(RuleTerms(**{"algorithm": "fixed", "period_s": 86_400} | terms), by="x", now=timezone.now())

    return rule


def statuses(send, times):
    return [send().status_code for _ in range(times)]


def limited(answer, *, signed):
    document = answer.json()
    assert (answer.status_code, document["code"]) == (429, "RATE_LIMITED")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1
    assert is_signed_by_us(answer) is signed
    return answer


def test_over_its_limit_an_app_is_refused_by_a_signed_answer_that_says_when_to_come_back(caller, rule):
    rule(scope="app", limit=3)
    assert statuses(lambda: caller.post(ECHO, {}), 3) == [201, 201, 201]
    echo_urls.reached.clear()
    answer = limited(caller.post(ECHO, {}), signed=True)
    assert echo_urls.reached == []
    assert 1 <= int(answer.headers["Retry-After"]) <= 86_400
    assert caller.get(ECHO).status_code == 429, "reads and writes are counted together"
    assert harness.Caller(harness.an_app()).get(ECHO).status_code == 200, "another app is not"


def test_headers_tell_the_policies_and_what_is_left_in_structured_integers(caller, rule):
    rule(scope="app", algorithm="token", limit=1, period_s=3_600, burst=5)
    rule(scope="app_route", route="read", algorithm="cells", limit=2, period_s=60, cells=6)
    rule(scope="global", limit=1_000_000)
    first, second, third = (caller.get(ECHO) for _ in range(3))
    assert first.headers["RateLimit-Policy"] == '"app-3600s";q=5;w=18000, "read-60s";q=2;w=60'
    assert re.fullmatch(r'"app-3600s";r=4;t=3600, "read-60s";r=1;t=\d+', first.headers["RateLimit"])
    assert re.fullmatch(r'"app-3600s";r=3;t=7\d{3}, "read-60s";r=0;t=\d+', second.headers["RateLimit"])
    limited(third, signed=True)
    told = re.fullmatch(r'"app-3600s";r=3;t=\d+, "read-60s";r=0;t=(\d+)', third.headers["RateLimit"])
    assert told, "the rule that did not refuse was not taken from"
    wait = told[1]
    assert wait == third.headers["Retry-After"]
    assert 58 <= int(wait) <= 70, "until the cell that was used has passed"


def test_an_operation_has_its_own_count_and_one_without_a_name_is_a_read_or_a_write(caller, rule):
    rule(scope="app_route", route="write", limit=1)
    rule(scope="app_route", route="things.make", limit=2)
    assert statuses(lambda: caller.post(ECHO, {}), 2) == [201, 429]
    assert statuses(lambda: caller.get(ECHO), 2) == [200, 200]
    assert statuses(lambda: caller.post("/openapi/v1/named", {}), 3) == [200, 200, 429]


def test_a_rule_for_a_route_that_no_operation_has_limits_nobody(caller, rule):
    rule(scope="app_route", route="no.such.operation", limit=1)
    answer = caller.get(ECHO)
    assert answer.status_code == caller.get(ECHO).status_code == 200
    assert "RateLimit" not in answer.headers


def test_everybody_together_has_a_limit_too_and_its_rest_is_told_to_nobody(caller, rule):
    rule(scope="global", limit=2)
    other = harness.Caller(harness.an_app())
    assert [caller.get(ECHO).status_code, other.get(ECHO).status_code] == [200, 200]
    answer = limited(caller.get(ECHO), signed=True)
    assert "RateLimit" not in answer.headers


# --- the nonce and the limit ------------------------------------------------------------------------------------------


def test_who_was_over_the_limit_may_send_the_very_same_request_again(caller, rule):
    rule(scope="app", algorithm="token", limit=1, period_s=3_600, burst=1)
    authorization = caller.authorization("POST", ECHO, b"{}")
    assert caller.get(ECHO).status_code == 200
    limited(caller.send("POST", ECHO, b"{}", authorization=authorization), signed=True)
    RateRule.objects.all().delete()
    clear_all()
    assert caller.send("POST", ECHO, b"{}", authorization=authorization).status_code == 201
    replayed = caller.send("POST", ECHO, b"{}", authorization=authorization)
    assert (replayed.status_code, replayed.json()["code"]) == (401, "REPLAYED_NONCE")


def test_who_repeats_an_overheard_request_spends_nothing_of_its_owners(caller, rule):
    rule(scope="app", limit=2)
    authorization = caller.authorization("GET", ECHO)
    replays = [caller.get(ECHO, authorization=authorization).status_code for _ in range(20)]
    assert replays == [200] + [401] * 19
    assert statuses(lambda: caller.get(ECHO), 2) == [200, 429]


# --- addresses --------------------------------------------------------------------------------------------------------


def test_an_address_gets_so_many_refusals_without_proof_and_then_429(caller, rule):
    rule(scope="ip", route="openapi", limit=3)
    bad = caller.authorization("GET", ECHO, mchid="1234567890123456789")
    assert statuses(lambda: caller.get(ECHO, authorization=bad, **STRANGER), 4) == [401, 401, 401, 429]
    answer = limited(caller.get(ECHO, authorization="", **STRANGER), signed=False)
    assert answer.headers["RateLimit-Policy"] == '"ip.openapi-86400s";q=3;w=86400'
    assert caller.get(ECHO, authorization=bad).status_code == 401, "another address"


@pytest.mark.parametrize("kind", ["method", "target", "length", "media", "header", "time"])
def test_every_way_to_be_refused_without_proof_counts(caller, rule, kind):
    rule(scope="ip", route="openapi", limit=2)
    send = {
        "method": lambda: caller.send("PUT", ECHO, authorization=""),
        "target": lambda: caller.get(ECHO, authorization="", raw_uri="//x"),
        "length": lambda: caller.post(ECHO, {}, authorization="", CONTENT_LENGTH="70000"),
        "media": lambda: caller.post(ECHO, {}, authorization="", content_type="text/plain"),
        "header": lambda: caller.get(ECHO, authorization="nonsense"),
        "time": lambda: caller.get(ECHO, signing={"timestamp": "1000000000"}),
    }[kind]
    *refused, last = statuses(send, 3)
    assert last == 429
    assert 429 not in refused


def test_requests_that_prove_who_sent_them_are_not_counted_against_an_address_that_many_share(caller, rule):
    rule(scope="ip", route="openapi", limit=3)
    neighbour = harness.Caller(harness.an_app())
    for _ in range(10):
        assert caller.get(ECHO, **MERCHANTS_NAT).status_code == 200
        assert neighbour.post(ECHO, {}, **MERCHANTS_NAT).status_code == 201
    assert caller.get(ECHO, authorization="", **MERCHANTS_NAT).status_code == 401


def test_what_a_proven_caller_does_wrong_is_not_counted_against_the_address_of_its_neighbours(caller, rule):
    rule(scope="ip", route="openapi", limit=2)
    authorization = caller.authorization("GET", ECHO)
    replays = [caller.get(ECHO, authorization=authorization, **MERCHANTS_NAT).status_code for _ in range(6)]
    assert replays == [200] + [401] * 5
    assert harness.Caller(harness.an_app()).get(ECHO, **MERCHANTS_NAT).status_code == 200


def test_a_right_signature_passes_from_an_address_whose_refusals_are_used_up(caller, rule):
    rule(scope="ip", route="openapi", limit=3)
    rule(scope="app", limit=100)
    assert statuses(lambda: caller.get(ECHO, authorization="", **MERCHANTS_NAT), 5) == [401, 401, 401, 429, 429]
    answer = caller.post(ECHO, {}, **MERCHANTS_NAT)
    assert answer.status_code == 201
    assert "ip." not in answer.headers["RateLimit"], "how the others behind its address stand is not its business"
    wrong = caller.authorization("GET", ECHO + "/x")
    limited(caller.get(ECHO, authorization=wrong, **MERCHANTS_NAT), signed=False)
    assert caller.get(ECHO, **MERCHANTS_NAT).status_code == 200


def test_whoever_is_proven_is_refused_for_its_own_reasons_only(caller, rule):
    rule(scope="ip", route="openapi", limit=1)
    assert caller.get(ECHO, authorization="", **MERCHANTS_NAT).status_code == 401
    authorization = caller.authorization("GET", ECHO)
    codes = [caller.get(ECHO, authorization=authorization, **MERCHANTS_NAT) for _ in range(2)]
    assert [code.json().get("code") for code in codes] == [None, "REPLAYED_NONCE"]
    narrow = harness.Caller(harness.an_app(), key=harness.a_key(), scopes=["bills:read"])
    clear_all()
    no_scope = narrow.get("/openapi/v1/guarded", **MERCHANTS_NAT)
    assert no_scope.json()["code"] == "NO_AUTH"
    assert is_signed_by_us(no_scope)


def test_made_up_names_from_an_address_that_was_refused_too_often_cost_one_query_in_all(
    caller, rule, django_assert_num_queries
):
    rule(scope="ip", route="openapi", limit=1)
    assert caller.get(ECHO, authorization="", **STRANGER).status_code == 401
    with django_assert_num_queries(1):
        for number in range(20):
            unknown = caller.authorization("GET", ECHO, serial_no=f"NEVER_SEEN_{number}")
            limited(caller.get(ECHO, authorization=unknown, **STRANGER), signed=False)


def test_quoting_a_victims_app_and_key_spends_nothing_of_the_victims(caller, rule):
    rule(scope="app", limit=1)
    rule(scope="ip", route="openapi", limit=5)
    forged = [caller.authorization("GET", ECHO, signature="QUFB" * 85 + "QQ==") for _ in range(20)]
    seen = [caller.get(ECHO, authorization=each, **STRANGER).status_code for each in forged]
    assert seen == [401] * 5 + [429] * 15, "and does not buy the stranger anything"
    assert caller.get(ECHO, authorization=forged[0], **STRANGER).status_code == 429
    assert caller.get(ECHO).status_code == 200, "the one request that the victim may make is still there"
    assert caller.get(ECHO).status_code == 429


def test_what_is_our_fault_is_not_counted_against_an_address(caller, rule, monkeypatch):
    rule(scope="ip", route="openapi", limit=2)

    def broken(**_names):
        raise RuntimeError("a bug")

    monkeypatch.setattr("openplatform.keyring.find_credential", broken)
    assert statuses(lambda: caller.get(ECHO, **STRANGER), 5) == [500] * 5


# --- without the store ------------------------------------------------------------------------------------------------


def test_without_the_store_reads_are_limited_by_this_process_and_writes_wait(caller, rule, settings):
    rule(scope="app", limit=10)
    rule(scope="ip", route="openapi", limit=6)
    settings.REDIS_URL, settings.LIMIT_PROCESSES = "unix:///nowhere/valkey.sock", 2
    assert statuses(lambda: caller.post(ECHO, {}), 2) == [503, 503]
    assert statuses(lambda: caller.get(ECHO), 6) == [200] * 5 + [429]
    answer = limited(caller.get(ECHO), signed=True)
    assert re.fullmatch(r'"app-86400s";r=0;t=\d+', answer.headers["RateLimit"])
    assert statuses(lambda: caller.get(ECHO, authorization="", **STRANGER), 4) == [401, 401, 401, 429]
    store.circuit.reset()


# --- a view that is no operation of the API ---------------------------------------------------------------------------


def test_any_view_can_be_limited_per_address(rule, rf):
    from django.http import HttpResponse

    @limits.per_address("test.door")
    def view(request, name):
        return HttpResponse(name)

    rule(scope="ip", route="test.door", limit=2)
    request = rf.get("/x", REMOTE_ADDR="203.0.113.50")
    assert [view(request, "a").content for _ in range(2)] == [b"a", b"a"]
    with pytest.raises(RateLimited) as refusal:
        view(request, "a")
    assert int(refusal.value.headers["Retry-After"]) >= 1
    assert view(rf.get("/x", REMOTE_ADDR="203.0.113.51"), name="b").content == b"b"
