"""Each mistake in the settings has an id, and a good deployment has none."""

import base64
import copy

import pytest
from django.conf import settings as current
from django.core.checks import run_checks

GOOD_DEPLOYMENT = {
    "SECRET_KEY_IS_SET": True,
    "MASTER_KEY": base64.b64encode(bytes(32)).decode(),
    "PUBLIC_BASE_URL": "https://pay.example.com",
    "ALLOWED_HOSTS": ["pay.example.com"],
    "CASHIER_SANDBOX": False,
    "TEST_PLATFORM": False,
    "CHANNEL_PRIVATE_HOSTS": [],
    "NOTIFICATION_PRIVATE_HOSTS": [],
    "NOTIFICATION_ALLOW_HTTP": False,
    "NOTIFICATION_SIGN_TESTS": False,
    "ALLOW_MODEL_CHANNELS": False,
    "ALARM_WEBHOOK_URL": "https://alarms.example.com/hook?key=1",
}


def found(*, deploy: bool = True) -> set[str]:
    messages = run_checks(include_deployment_checks=deploy)
    return {
        message.id.removeprefix("fenpay.") for message in messages if message.id and message.id.startswith("fenpay.")
    }


@pytest.fixture
def deployment(settings):
    for name, value in GOOD_DEPLOYMENT.items():
        setattr(settings, name, value)
    return settings


def test_a_good_deployment_has_nothing_to_say(deployment):
    assert found() == set()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SECRET_KEY_IS_SET", False, "E001"),
        ("MASTER_KEY", "", "E002"),
        ("MASTER_KEY", base64.b64encode(bytes(31)).decode(), "E003"),
        ("MASTER_KEY", "not base64!", "E003"),
        ("CHANNEL_PRIVATE_HOSTS", ["sandbox"], "E004"),
        ("NOTIFICATION_PRIVATE_HOSTS", [":8002"], "E004"),
        ("CHANNEL_DEADLINE_S", 15.0, "E010"),
        ("CHANNEL_CONNECT_S", 11.0, "E013"),
        ("CREATE_WAIT_S", 11.0, "E014"),
        ("NONCE_LIFETIME_S", 600, "E015"),
        ("LOCK_TIMEOUT_MS", 5_000, "E016"),
        ("LIMIT_PROCESSES", 0, "E017"),
        ("NOTIFICATION_IN_FLIGHT_MAX", 0, "E018"),
        ("NOTIFICATION_CATCH_UP_PER_S", 0, "E018"),
        ("NOTIFICATION_PROBE_S", 3_601, "E019"),
        ("NOTIFICATION_SIGN_TESTS", True, "W108"),
        ("ALARM_BACKLOG_COUNT", 0, "E030"),
        ("ALARM_WORKER_SILENT_S", 2, "E037"),
        ("ALARM_CLOSE_PERCENT", 100, "E031"),
        ("ALARM_REMIND_MINUTES", -1, "E032"),
        ("ALARM_LANGUAGE", "fr", "E033"),
        ("ALARM_WEBHOOK_FORMAT", "pager", "E034"),
        ("ALARM_WEBHOOK_URL", "alarms.example.com/hook", "E035"),
        ("ALARM_WEBHOOK_URL", "https://alarms.example.com/a b", "E035"),
        ("HEALTH_TOKEN", "short", "E036"),
        ("ALARM_WEBHOOK_URL", "", "W109"),
        ("ALARM_WEBHOOK_URL", "http://alarms.example.com/hook", "W110"),
        ("TRACING", "jaeger", "E020"),
        ("TRACING_SAMPLE_RATIO", 2.0, "E021"),
        ("LOG_FORMAT", "xml", "E022"),
        ("PUBLIC_BASE_URL", "http://pay.example.com", "E101"),
        ("ALLOWED_HOSTS", ["other.example.com"], "E103"),
        ("NOTIFICATION_ALLOW_HTTP", True, "W105"),
        ("TEST_PLATFORM", True, "W107"),
        ("ALLOW_MODEL_CHANNELS", True, "W112"),
    ],
)
def test_each_mistake_is_found_under_its_id(deployment, name: str, value: object, expected: str):
    setattr(deployment, name, value)
    assert found() == {expected}


def test_a_secret_for_a_bot_that_takes_none_is_noticed(deployment):
    deployment.ALARM_WEBHOOK_FORMAT, deployment.ALARM_WEBHOOK_SECRET = "wecom", "x"
    assert found() == {"W111"}


def test_what_is_wrong_with_the_webhook_does_not_tell_its_address(deployment):
    deployment.ALARM_WEBHOOK_URL = "ftp://alarms.example.com/hook?key=1234-secret"
    assert "secret" not in " ".join(str(message) for message in run_checks(include_deployment_checks=True))


def test_a_public_address_on_this_machine_cannot_be_called_back(deployment):
    deployment.PUBLIC_BASE_URL = "https://localhost"
    deployment.ALLOWED_HOSTS = ["localhost"]
    assert found() == {"E102"}


def test_play_money_beside_public_channels_is_refused(deployment):
    deployment.CASHIER_SANDBOX = True
    assert found() == {"E104", "W106"}
    deployment.CHANNEL_PRIVATE_HOSTS = ["127.0.0.1:8001"]
    assert found() == {"W106"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"task_time_limit": current.CELERY["task_soft_time_limit"]}, "E011"),
        ({"worker_prefetch_multiplier": 4}, "E012"),
    ],
)
def test_limits_of_tasks_must_fit_into_each_other(deployment, change: dict[str, int], expected: str):
    deployment.CELERY = copy.deepcopy(current.CELERY) | change
    assert found() == {expected}


def test_a_development_machine_may_be_as_it_is_after_a_clone(settings):
    settings.SECRET_KEY_IS_SET = False
    settings.MASTER_KEY = ""
    assert found(deploy=False) == set()
