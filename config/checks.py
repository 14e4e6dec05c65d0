"""Mistakes in the settings, found before the first request: `manage.py check`, and the start of every process.

E is refused everywhere. What only a deployment must have is checked by `check --deploy` (ids from W101 and E101 on).
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register

from config import tracing
from openplatform.alarms.formats import BODIES
from openplatform.models.endpoint import PROBE_NEVER_LATER

MASTER_KEY_BYTES = 32
HEALTH_TOKEN_LENGTH_MIN = 20
WORKER_SILENT_MIN_S = 3  # it gives a sign every second at most
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}


@register
def check_secrets(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:  # noqa: ARG001
    """A MASTER_KEY that is there must be one: half a key would seal what nobody can open."""
    if settings.MASTER_KEY and not _is_master_key(settings.MASTER_KEY):
        yield Error("MASTER_KEY is not 32 bytes in base64.", hint=MAKE_MASTER_KEY, id="fenpay.E003")
    if not all(map(_is_master_key, settings.MASTER_KEYS_OLD)):
        yield Error("An entry of MASTER_KEYS_OLD is not 32 bytes in base64.", id="fenpay.E005")
    if settings.MASTER_KEY in settings.MASTER_KEYS_OLD:
        yield Error("MASTER_KEY is among MASTER_KEYS_OLD: which one seals?", id="fenpay.E006")
    for entry in [*settings.CHANNEL_PRIVATE_HOSTS, *settings.NOTIFICATION_PRIVATE_HOSTS]:
        host, _sep, port = entry.rpartition(":")
        if not host or not port.isdigit():
            yield Error(
                f"{entry} in CHANNEL_PRIVATE_HOSTS or NOTIFICATION_PRIVATE_HOSTS is not host:port.", id="fenpay.E004"
            )


@register
def check_times(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:  # noqa: ARG001
    """Each wait must fit into the one around it, or work is cut off, or given out twice."""
    celery = settings.CELERY
    limits = [
        (celery["task_soft_time_limit"], celery["task_time_limit"]),
        *((each["soft_time_limit"], each["time_limit"]) for each in celery["task_annotations"].values()),
    ]
    if celery["task_annotations"]["payments.drive_payment"]["soft_time_limit"] <= 3 * settings.CHANNEL_DEADLINE_S:
        yield Error("A task's soft limit is not above three times CHANNEL_DEADLINE_S.", id="fenpay.E010")
    if any(hard <= soft for soft, hard in limits):
        yield Error("A task's hard limit is not above its soft limit.", id="fenpay.E011")
    longest = max(hard for _soft, hard in limits)
    visibility = celery["broker_transport_options"].get("visibility_timeout")
    if visibility is not None and visibility <= longest * (1 + celery["worker_prefetch_multiplier"]):
        yield Error(
            "The broker would give a task to a second worker while the first still runs it: visibility_timeout must be"
            " above the hard limit of the task and of those that wait before it.",
            hint="Lower CHANNEL_DEADLINE_S, from which the limits follow.",
            id="fenpay.E012",
        )
    if settings.CHANNEL_CONNECT_S > settings.CHANNEL_DEADLINE_S:
        yield Error("CHANNEL_CONNECT_S is above CHANNEL_DEADLINE_S, which is the total.", id="fenpay.E013")
    if settings.CREATE_WAIT_S > settings.CREATE_WAIT_MAX_S:
        yield Error("CREATE_WAIT_S is above CREATE_WAIT_MAX_S.", id="fenpay.E014")
    if settings.NONCE_LIFETIME_S <= 2 * settings.TIMESTAMP_WINDOW_S:
        yield Error("A nonce would be forgotten while its timestamp is still good.", id="fenpay.E015")
    if settings.LOCK_TIMEOUT_MS >= settings.STATEMENT_TIMEOUT_MS:
        yield Error(
            "LOCK_TIMEOUT_MS is not below STATEMENT_TIMEOUT_MS: a wait for a lock would look like a slow statement.",
            id="fenpay.E016",
        )
    if settings.LIMIT_PROCESSES < 1:
        yield Error("LIMIT_PROCESSES is below 1: no process would have a share of the limits.", id="fenpay.E017")


@register
def check_notifications(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:  # noqa: ARG001
    for name in (
        "NOTIFICATION_IN_FLIGHT_MAX", "NOTIFICATION_PAUSE_AFTER", "NOTIFICATION_PROBE_S", "NOTIFICATION_CATCH_UP_PER_S",
    ):  # fmt: skip
        if getattr(settings, name) < 1:
            yield Error(f"{name} is below 1: nothing would be sent to anybody.", id="fenpay.E018")
    if PROBE_NEVER_LATER.total_seconds() < settings.NOTIFICATION_PROBE_S:
        yield Error(
            "NOTIFICATION_PROBE_S is above an hour: its wait would be taken for a wrong clock.", id="fenpay.E019"
        )


@register
def check_alarms(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:  # noqa: ARG001
    """An alarm that cannot ring, or that never stops, is none."""
    for name in (
        "ALARM_CHECK_S", "ALARM_OPEN_CHECKS", "ALARM_CLOSE_CHECKS", "ALARM_BACKLOG_COUNT", "ALARM_BACKLOG_LATE_S",
        "ALARM_UNKNOWN_S", "ALARM_BREAKER_S", "ALARM_BEAT_SILENT_S", "ALARM_CLOCK_SKEW_S",
        "ALARM_HELD_COUNT", "ALARM_MESSAGES_PER_MINUTE",
    ):  # fmt: skip
        if getattr(settings, name) < 1:
            yield Error(f"{name} is below 1.", id="fenpay.E030")
    if settings.ALARM_WORKER_SILENT_S < WORKER_SILENT_MIN_S:
        yield Error(
            f"ALARM_WORKER_SILENT_S is below {WORKER_SILENT_MIN_S}: workers that are well would be missed.",
            id="fenpay.E037",
        )
    if not 0 <= settings.ALARM_CLOSE_PERCENT < 100:
        yield Error("ALARM_CLOSE_PERCENT is not between 0 and 99: an alarm would flap or never end.", id="fenpay.E031")
    if settings.ALARM_REMIND_MINUTES < 0:
        yield Error("ALARM_REMIND_MINUTES is below 0.", id="fenpay.E032")
    if settings.ALARM_LANGUAGE not in dict(settings.LANGUAGES):
        yield Error(f"ALARM_LANGUAGE is {settings.ALARM_LANGUAGE!r}, which nothing is written in.", id="fenpay.E033")
    if settings.ALARM_WEBHOOK_FORMAT not in BODIES:
        yield Error(
            f"ALARM_WEBHOOK_FORMAT is {settings.ALARM_WEBHOOK_FORMAT!r}, not one of {', '.join(BODIES)}.",
            id="fenpay.E034",
        )
    if settings.ALARM_WEBHOOK_URL and not _is_usable(settings.ALARM_WEBHOOK_URL):
        yield Error("ALARM_WEBHOOK_URL is no http or https address in its normal form.", id="fenpay.E035")
    if settings.HEALTH_TOKEN and len(settings.HEALTH_TOKEN) < HEALTH_TOKEN_LENGTH_MIN:
        yield Error(f"HEALTH_TOKEN is shorter than {HEALTH_TOKEN_LENGTH_MIN} characters.", id="fenpay.E036")


@register(deploy=True)
def check_webhook(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:  # noqa: ARG001
    if not settings.ALARM_WEBHOOK_URL:
        yield checks.Warning(
            "ALARM_WEBHOOK_URL is not set: alarms are in the console and reach nobody.", id="fenpay.W109"
        )
    elif urlsplit(settings.ALARM_WEBHOOK_URL).scheme == "http":
        yield checks.Warning("ALARM_WEBHOOK_URL is not https: its token goes out unencrypted.", id="fenpay.W110")
    if settings.ALARM_WEBHOOK_SECRET and settings.ALARM_WEBHOOK_FORMAT == "wecom":
        yield checks.Warning("ALARM_WEBHOOK_SECRET has no use: this bot takes no signature.", id="fenpay.W111")


@register
def check_tracing(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:  # noqa: ARG001
    if settings.TRACING not in tracing.MODES:
        yield Error(f"TRACING is {settings.TRACING!r}, not one of {', '.join(tracing.MODES)}.", id="fenpay.E020")
    if not 0 <= settings.TRACING_SAMPLE_RATIO <= 1:
        yield Error("TRACING_SAMPLE_RATIO is not between 0 and 1.", id="fenpay.E021")
    if settings.LOG_FORMAT not in {"json", "text"}:
        yield Error(f"LOG_FORMAT is {settings.LOG_FORMAT!r}, not json or text.", id="fenpay.E022")


@register(deploy=True)
def check_sign_tests(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:  # noqa: ARG001
    if settings.NOTIFICATION_SIGN_TESTS and not settings.CASHIER_SANDBOX:
        yield checks.Warning("NOTIFICATION_SIGN_TESTS: every merchant gets wrongly signed ones.", id="fenpay.W108")


@register(deploy=True)
def check_models(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:  # noqa: ARG001
    if settings.ALLOW_MODEL_CHANNELS:
        yield checks.Warning(
            "ALLOW_MODEL_CHANNELS: channels that are only models of one may take real money.",
            hint="Silence it when the model that you use is certified with your acquirer: docs/adding-a-channel.md.",
            id="fenpay.W112",
        )


@register(deploy=True)
def check_deployment(app_configs: Sequence[Any] | None, **_: Any) -> Iterable[CheckMessage]:  # noqa: ARG001
    """What a development machine may leave out, and a deployment may not."""
    if not settings.SECRET_KEY_IS_SET:
        yield Error(
            "SECRET_KEY is not set: every process makes its own, and no login survives the next request.",
            hint="Set SECRET_KEY, or SECRET_KEY_FILE to a file that only the service can read.",
            id="fenpay.E001",
        )
    if not settings.MASTER_KEY:
        yield Error("MASTER_KEY is not set: no key can be sealed or opened.", hint=MAKE_MASTER_KEY, id="fenpay.E002")
    public = urlsplit(settings.PUBLIC_BASE_URL)
    if public.scheme != "https":
        yield Error("PUBLIC_BASE_URL is not https: payers and channels come through it.", id="fenpay.E101")
    if public.hostname in LOCAL_HOSTS:
        yield Error("PUBLIC_BASE_URL is this machine: no channel can call it back.", id="fenpay.E102")
    if public.hostname and public.hostname not in settings.ALLOWED_HOSTS and not _wildcard(public.hostname):
        yield Error(f"ALLOWED_HOSTS does not have {public.hostname}, the host of PUBLIC_BASE_URL.", id="fenpay.E103")
    if settings.CASHIER_SANDBOX and not settings.CHANNEL_PRIVATE_HOSTS:
        yield Error(
            "CASHIER_SANDBOX lets payers pay with play money, and no sandbox is named in CHANNEL_PRIVATE_HOSTS:"
            " channels are the public ones.",
            id="fenpay.E104",
        )
    if settings.NOTIFICATION_ALLOW_HTTP:
        yield checks.Warning("NOTIFICATION_ALLOW_HTTP: notifications may go out unencrypted.", id="fenpay.W105")
    if settings.CASHIER_SANDBOX:
        yield checks.Warning("CASHIER_SANDBOX: the cashier pays with the sandbox's play money.", id="fenpay.W106")
    if settings.TEST_PLATFORM:
        yield checks.Warning("TEST_PLATFORM: strangers are told why their signature is wrong.", id="fenpay.W107")


MAKE_MASTER_KEY = 'Make one: python3 -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())"'


def _is_master_key(value: str) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == MASTER_KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _is_usable(url: str) -> bool:
    """Sent as it is: what the library would change on its way out is refused there."""
    try:
        return urlsplit(url).scheme in {"http", "https"} and requests.Request("POST", url).prepare().url == url
    except requests.RequestException:
        return False


def _wildcard(host: str) -> bool:
    return any(entry == "*" or (entry.startswith(".") and host.endswith(entry)) for entry in settings.ALLOWED_HOSTS)
