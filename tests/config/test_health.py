"""What load balancers are told, and what a person or a machine gets for an address that nobody serves."""

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.views.debug import get_exception_reporter_filter

from config import errors, health

pytestmark = pytest.mark.urls("config.urls")


@pytest.fixture(autouse=True)
def forget_that_it_was_migrated():
    health._migrated.clear()


def test_the_process_is_up_without_asking_anybody(client: Client):
    # No database mark: a query here would fail the test.
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db
def test_ready_names_its_parts_and_nothing_else(client: Client):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "database": "ok", "migrations": "ok", "redis": "ok"}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.django_db
def test_a_missing_migration_is_not_ready(client: Client):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'fenpay_config'")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "failed", "database": "ok", "migrations": "failed", "redis": "ok"}


@pytest.mark.django_db
def test_without_redis_it_still_serves_and_says_so(client: Client, settings):
    settings.REDIS_URL = "unix:///nonexistent/valkey.sock"
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["redis"] == "failed"
    assert "nonexistent" not in answer.content.decode()


@pytest.mark.django_db
def test_without_a_database_it_is_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch):
    def refuse() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column")

    monkeypatch.setattr(health, "_database", refuse)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] == "failed"


@pytest.mark.parametrize("path", ["/openapi/v1/nothing", "/callbacks/nowhere"])
def test_a_machine_gets_a_problem_for_an_unknown_address(client: Client, path: str):
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "NOT_FOUND"
    assert problem["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(("language", "words"), [("zh-hans", "没有这个页面"), ("en", "There is no such page")])
def test_a_person_gets_a_page_in_their_language(client: Client, language: str, words: str):
    answer = client.get("/nothing", headers={"accept-language": language})
    assert answer.status_code == 404
    assert words in answer.content.decode()


def test_our_own_failure_tells_a_payer_that_nothing_is_lost(rf: RequestFactory):
    answer = errors.server_error(rf.get("/pay/token"))
    assert answer.status_code == 500
    assert "Traceback" not in answer.content.decode()
    assert errors.server_error(rf.post("/openapi/v1/orders")).headers["Content-Type"] == "application/problem+json"


def test_an_error_page_shows_no_address_of_the_settings(settings, rf: RequestFactory):
    """Only a developer's DEBUG shows one at all; what is in it must be no password and no token all the same."""
    settings.ALARM_WEBHOOK_URL = "https://alarms.example.com/hook?key=a-token-of-the-bot"
    shown = get_exception_reporter_filter(rf.get("/")).get_safe_settings()
    assert {shown[name] for name in ("ALARM_WEBHOOK_URL", "DATABASE_URL", "BROKER_URL", "REDIS_URL")} == {"*" * 20}
    assert "a-token-of-the-bot" not in str(shown)
