"""The one settings file. Everything comes from the environment; docs/deploy.md lists every variable.

Nothing here starts a server or opens a connection: type checkers, `manage.py check` and every worker import it.
"""

import secrets
from datetime import timedelta
from typing import Any

from config import environment as env
from config.runtime import places

BASE_DIR = env.BASE_DIR
LOCAL_DIR = env.local_dir()

# --- core ------------------------------------------------------------------------------------------------------------
DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY") or secrets.token_urlsafe(48)  # checks.py complains when it is not set
SECRET_KEY_IS_SET = bool(env.text("SECRET_KEY"))
ALLOWED_HOSTS = env.listed("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
PUBLIC_BASE_URL = env.text("PUBLIC_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
# Behind a proxy that ends TLS we see plain HTTP, while the browser names the public origin.
CSRF_TRUSTED_ORIGINS = env.listed("CSRF_TRUSTED_ORIGINS", PUBLIC_BASE_URL)
DEFAULT_EXCEPTION_REPORTER_FILTER = "config.errors.ReporterFilter"
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "config.apps.ConfigConfig",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "idgen",
    "openplatform",
    "payments",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.csp.ContentSecurityPolicyMiddleware",
    # Below those three, for its files answer from here; and whoever refuses below is an answer that passes them too.
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "openplatform.middleware.RequestIdMiddleware",
    "config.tracing.TraceMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- database ---------------------------------------------------------------------------------------------------------
# A request must never wait without bound: each statement, each lock and each idle transaction has a limit.
STATEMENT_TIMEOUT_MS = env.number("STATEMENT_TIMEOUT_MS", 5_000)
LOCK_TIMEOUT_MS = env.number("LOCK_TIMEOUT_MS", 2_000)
DATABASE_URL = env.text("DATABASE_URL") or places.database_url(LOCAL_DIR)
DATABASE_OPTIONS: dict[str, Any] = {
    "connect_timeout": 3,
    "application_name": "fenpay",
    "options": (
        f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS}"
        " -c idle_in_transaction_session_timeout=15000 -c synchronous_commit=on"
    ),
}
DATABASES = {
    "default": env.database(DATABASE_URL, options=DATABASE_OPTIONS)
    | {"CONN_MAX_AGE": 300, "CONN_HEALTH_CHECKS": True, "ATOMIC_REQUESTS": False}
}

# --- broker and cache: hurry, never truth --------------------------------------------------------------------------
BROKER_URL = env.text("BROKER_URL") or env.text("REDIS_URL") or places.broker_url(LOCAL_DIR)
REDIS_URL = env.text("REDIS_URL") or places.redis_url(LOCAL_DIR)
BROKER_IS_STORE = env.is_same_server(BROKER_URL, REDIS_URL)
REDIS_TIMEOUT_S = env.seconds("REDIS_TIMEOUT_S", 0.1)  # a dead Redis must cost less than a patient caller notices

# --- time and language -----------------------------------------------------------------------------------------------
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
USE_I18N = True
LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]

# --- static files and browser security -----------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = env.text("STATIC_ROOT") or None  # collected only where a proxy serves it; else finders find it
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
HTTPS_ONLY = env.flag("HTTPS_ONLY", default=PUBLIC_BASE_URL.startswith("https://"))
SECURE_SSL_REDIRECT = False  # the proxy in front does it; the API must never answer a signed POST with a redirect
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS_ONLY
SECURE_HSTS_PRELOAD = False
SILENCED_SYSTEM_CHECKS = [
    "security.W008",  # SECURE_SSL_REDIRECT, see above
    "security.W021",  # SECURE_HSTS_PRELOAD: the list is for whoever owns the domain to join
]
# Nothing to other sites. "no-referrer" would make browsers send `Origin: null` with our own forms, which CSRF refuses.
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = HTTPS_ONLY
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = HTTPS_ONLY
X_FRAME_OPTIONS = "DENY"
APPEND_SLASH = False
ADMIN_PATH = env.text("ADMIN_PATH", "console/").lstrip("/")
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
DATA_UPLOAD_MAX_MEMORY_SIZE = 262_144
TRUSTED_PROXY_COUNT = env.number("TRUSTED_PROXY_COUNT", 0)

# --- numbers that never repeat ----------------------------------------------------------------------------------------
IDGEN_LEASE_STORE = env.text("IDGEN_LEASE_STORE", "postgresql")  # postgresql | etcd
IDGEN_ETCD_ENDPOINTS = env.listed("IDGEN_ETCD_ENDPOINTS")  # client URLs of all members
IDGEN_ETCD_PREFIX = env.text("IDGEN_ETCD_PREFIX", "/fenpay/idgen")
IDGEN_ETCD_CA = env.text("IDGEN_ETCD_CA")  # paths of PEM files: the members' authority, our certificate and its key
IDGEN_ETCD_CERT = env.text("IDGEN_ETCD_CERT")
IDGEN_ETCD_KEY = env.text("IDGEN_ETCD_KEY")

# --- the open platform -----------------------------------------------------------------------------------------------
# 32 bytes, base64. Seals private keys and secrets at rest; never stored in the database.
MASTER_KEY = env.text("MASTER_KEY")
MASTER_KEYS_OLD = env.listed("MASTER_KEYS_OLD")  # these only open what they sealed, until `manage.py rekey` is done
# "B:base64,A:base64": the first makes public numbers, all read them. A deployment without it has one from MASTER_KEY.
IDGEN_PUBLIC_KEYS = env.text("IDGEN_PUBLIC_KEYS") or env.derived_key("A", MASTER_KEY, purpose="idgen public numbers")
TIMESTAMP_WINDOW_S = 300
NONCE_LIFETIME_S = 660  # a timestamp 300 s ahead stays acceptable for 600 s; plus a margin
API_BODY_BYTES_MAX = 65_536
# Web processes on all machines: what each lets through of a limit while Redis is away.
LIMIT_PROCESSES = env.number("LIMIT_PROCESSES", env.number("WEB_WORKERS", 2))
TARGET_FROM_PATH = False  # True under tests only: Django's test client has no request line
# Wrong signatures from one address within five minutes, after which it is kept out for a while; 0: never by itself.
AUTO_BLOCK_FAILURES = env.number("AUTO_BLOCK_FAILURES", 30)
NOTIFICATION_TIMEOUT_S = 5.0
NOTIFICATION_ALLOW_HTTP = env.flag("NOTIFICATION_ALLOW_HTTP", default=False)  # for the demo merchant on this machine
NOTIFICATION_PRIVATE_HOSTS = env.listed("NOTIFICATION_PRIVATE_HOSTS")  # host:port pairs inside our own network
# Off, an app is told anywhere until it has its first registered host, and from then on only at those.
NOTIFICATION_HOSTS_REQUIRED = env.flag("NOTIFICATION_HOSTS_REQUIRED", default=False)
NOTIFICATION_IN_FLIGHT_MAX = env.number("NOTIFICATION_IN_FLIGHT_MAX", 2)  # attempts for one app at the same time
NOTIFICATION_PAUSE_AFTER = env.number("NOTIFICATION_PAUSE_AFTER", 10)  # failures in a row of one app's host
NOTIFICATION_PROBE_S = env.number("NOTIFICATION_PROBE_S", 60)  # from the pause to its first probe; then ever longer
NOTIFICATION_CATCH_UP_PER_S = env.number("NOTIFICATION_CATCH_UP_PER_S", 20)  # of what is overdue, for one app

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "openplatform.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "UNICODE_JSON": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "fenpay open API",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "ENUM_NAME_OVERRIDES": {
        "OrderStatus": "payments.states.OrderStatus",
        "RefundStatus": "payments.states.RefundStatus",
        "NotificationStatus": "openplatform.models.notification.NotificationStatus.values",
    },
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/openapi/v1",
    "PREPROCESSING_HOOKS": ["openplatform.schema.only_open_api"],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "openplatform.schema.introduce"],
}

# --- payments ---------------------------------------------------------------------------------------------------------
ORDER_AMOUNT_MAX_FEN = env.number("ORDER_AMOUNT_MAX_FEN", 1_000_000_000)
ORDER_LIFETIME = timedelta(minutes=env.number("ORDER_LIFETIME_MINUTES", 120))
ORDER_LIFETIME_MAX = timedelta(days=7)
CHANNEL_DEADLINE_S = env.seconds("CHANNEL_DEADLINE_S", 10.0)
CHANNEL_CONNECT_S = env.seconds("CHANNEL_CONNECT_S", 3.0)
CHANNEL_PRIVATE_HOSTS = env.listed("CHANNEL_PRIVATE_HOSTS")  # the sandbox's host:port; production channels are public
# Real money by a channel that is only a model of one: for who has certified it with the acquirer.
ALLOW_MODEL_CHANNELS = env.flag("ALLOW_MODEL_CHANNELS", default=False)
BILL_DEADLINE_S = env.seconds("BILL_DEADLINE_S", 120.0)  # of one file, from the first byte to the last
BILL_BYTES_MAX = env.number("BILL_BYTES_MAX", 67_108_864)  # of a file as it comes, and of what is packed in it
BILL_UNPACKED_BYTES_MAX = env.number("BILL_UNPACKED_BYTES_MAX", 536_870_912)
BILL_STORE_S = 300  # to read a file of that size and to write its rows
CREATE_WAIT_S = 3.0  # how long `POST /orders` waits for the channel unless the caller says otherwise
CREATE_WAIT_MAX_S = 10.0
CREATE_WAITERS_MAX = env.number("CREATE_WAITERS_MAX", 4)  # per web process: a slow channel may not take every thread
CASHIER_SANDBOX = env.flag("CASHIER_SANDBOX", default=False)
# Every app gets a wrongly signed notification now and then, which it must refuse. Elsewhere an operator chooses apps.
NOTIFICATION_SIGN_TESTS = env.flag("NOTIFICATION_SIGN_TESTS", default=CASHIER_SANDBOX)

# --- for integrators --------------------------------------------------------------------------------------------------
# A platform to integrate against: it has the signature workbench, and serves `/sandbox/openapi/v1/` as well. It tells
# why a signature is wrong, which production never does.
TEST_PLATFORM = env.flag("TEST_PLATFORM", default=CASHIER_SANDBOX)

# --- Celery -----------------------------------------------------------------------------------------------------------
HINTS_ENABLED = True
# The longest that a task may wait for others, by the deadlines of its calls; its limits follow from it. Each task that
# calls somebody is here (a test looks). A step asks a channel up to three times: query, act, query. A delivery may be
# followed by a test of the merchant's signature check.
CONFORMANCE_BUDGET_S = 25.0  # after it nothing is sent
STEP_DEADLINE_S = 3 * CHANNEL_DEADLINE_S
TASK_DEADLINES_S = {
    "payments.drive_payment": STEP_DEADLINE_S,
    "payments.drive_refund": STEP_DEADLINE_S,
    "payments.recheck_payment": STEP_DEADLINE_S,
    "payments.fetch_certificates": CHANNEL_DEADLINE_S,
    "payments.fetch_bill": CHANNEL_DEADLINE_S + BILL_DEADLINE_S + BILL_STORE_S,  # asked for, fetched, stored
    "openplatform.deliver_notification": 2 * NOTIFICATION_TIMEOUT_S,
    "openplatform.run_conformance": CONFORMANCE_BUDGET_S + 2 * NOTIFICATION_TIMEOUT_S,
    "payments.watch": 40.0,
}
TASK_OTHERS_DEADLINE_S = 30.0  # of those that call nobody but the database and the broker, which have short limits
TASK_SOFT_AFTER_S, TASK_HARD_AFTER_S = 5, 10
TASK_HARD_LIMIT_S = int(STEP_DEADLINE_S) + TASK_HARD_AFTER_S  # of a step at a channel
BILL_TASK_HARD_LIMIT_S = int(TASK_DEADLINES_S["payments.fetch_bill"]) + TASK_HARD_AFTER_S
TASK_LONGEST_S = int(max(TASK_OTHERS_DEADLINE_S, *TASK_DEADLINES_S.values())) + TASK_HARD_AFTER_S
CELERY: dict[str, Any] = {
    "broker_url": BROKER_URL,
    "broker_connection_retry_on_startup": True,
    "broker_connection_timeout": 3.0,
    "broker_transport_options": {
        # A message that nobody has acknowledged for so long is given out again. Above the hard limit of every task, or
        # a task that still runs would be given to a second worker; kombu looks every 5 s, not every 100 s.
        "visibility_timeout": 2 * TASK_LONGEST_S + 20,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # For a worker, above the second for which it blocks on the queue. Publishers wait less (openplatform/hints.py).
        "socket_timeout": 5,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
    if BROKER_URL.startswith(("redis", "unix"))
    else {"confirm_publish": True},
    "task_publish_retry": False,
    "task_ignore_result": True,
    "task_acks_late": True,
    "task_reject_on_worker_lost": False,  # rows are the truth: the sweep runs lost work again, with a count
    # A backstop for what has no deadline of its own. Only the prefork pool keeps them: never use threads or solo.
    "task_soft_time_limit": int(TASK_OTHERS_DEADLINE_S) + TASK_SOFT_AFTER_S,
    "task_time_limit": int(TASK_OTHERS_DEADLINE_S) + TASK_HARD_AFTER_S,
    "task_annotations": {
        name: {
            "soft_time_limit": int(deadline_s) + TASK_SOFT_AFTER_S,
            "time_limit": int(deadline_s) + TASK_HARD_AFTER_S,
        }
        for name, deadline_s in TASK_DEADLINES_S.items()
    },
    "task_default_queue": "default",
    "task_routes": {"openplatform.*": {"queue": "notifications"}, "payments.fetch_bill": {"queue": "bills"}},
    "task_serializer": "json",
    "accept_content": ["json"],
    "worker_pool": "prefork",
    "worker_prefetch_multiplier": 1,
    "worker_max_tasks_per_child": 1_000,
    "worker_max_memory_per_child": 400_000,  # KiB
    "worker_proc_alive_timeout": 30,  # a cold machine imports slowly
    "worker_cancel_long_running_tasks_on_connection_loss": False,  # a call to a channel is never cut half way
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_send_task_events": False,
    "timezone": "UTC",
    # Beat is the guarantee, hints are the hurry. `expires`: a sweep that waited for a worker is of no use any more.
    "beat_schedule_filename": str(LOCAL_DIR / "beat-schedule"),
    "beat_max_loop_interval": 1,
    "beat_schedule": {
        name: {"task": name, "schedule": seconds, "options": {"expires": 2 * seconds}}
        for name, seconds in {
            "payments.sweep_payments": 2.0,
            "payments.sweep_refunds": 2.0,
            "payments.sweep_rechecks": 300.0,
            "payments.sweep_certificates": 30.0,
            "payments.plan_bills": 600.0,
            "payments.sweep_bills": 30.0,
            "openplatform.sweep_notifications": 2.0,
            "openplatform.sweep_conformance": 10.0,
            "openplatform.delete_old_idempotency_keys": 600.0,
            "config.delete_old_spans": 600.0,
        }.items()
    },
}

# --- alarms -----------------------------------------------------------------------------------------------------------
# What docs/runbook.md says of each. A figure is an alarm after some checks in a row beyond its limit, and over after
# some in a row at ALARM_CLOSE_PERCENT of it or less: in between nothing changes, so nothing flaps.
ALARM_CHECK_S = env.number("ALARM_CHECK_S", 10)
ALARM_OPEN_CHECKS = env.number("ALARM_OPEN_CHECKS", 3)
ALARM_CLOSE_CHECKS = env.number("ALARM_CLOSE_CHECKS", 3)
ALARM_CLOSE_PERCENT = env.number("ALARM_CLOSE_PERCENT", 50)
ALARM_BACKLOG_COUNT = env.number("ALARM_BACKLOG_COUNT", 500)  # due and not done, of one channel or of notifications
ALARM_BACKLOG_LATE_S = env.number("ALARM_BACKLOG_LATE_S", 120)  # how late the oldest of them is
ALARM_UNKNOWN_S = env.number("ALARM_UNKNOWN_S", 1_800)  # since when a result is not known
ALARM_BREAKER_S = env.number("ALARM_BREAKER_S", 120)  # for how long a breaker is open
ALARM_WORKER_SILENT_S = env.number("ALARM_WORKER_SILENT_S", 30)  # a worker gives a sign in a third of it
ALARM_BEAT_SILENT_S = env.number("ALARM_BEAT_SILENT_S", 60)  # how late a sweep is
ALARM_CLOCK_SKEW_S = env.number("ALARM_CLOCK_SKEW_S", 5)  # a process's clock against the database's
ALARM_HELD_COUNT = env.number("ALARM_HELD_COUNT", 1)  # notifications that were given up
# Where whoever is on call is told. The address holds a token: like a password it is never logged or shown.
ALARM_WEBHOOK_URL = env.text("ALARM_WEBHOOK_URL")
ALARM_WEBHOOK_FORMAT = env.text("ALARM_WEBHOOK_FORMAT", "generic")  # generic | slack | wecom | dingtalk | feishu
ALARM_WEBHOOK_SECRET = env.text("ALARM_WEBHOOK_SECRET")
ALARM_LANGUAGE = env.text("ALARM_LANGUAGE", LANGUAGE_CODE)
ALARM_MESSAGES_PER_MINUTE = env.number("ALARM_MESSAGES_PER_MINUTE", 10)  # beyond that, one summary
ALARM_REMIND_MINUTES = env.number("ALARM_REMIND_MINUTES", 60)  # what nobody has acknowledged is told again; 0: never
# Who presents it is told the figures at /health/queues; everybody else only whether all is well.
HEALTH_TOKEN = env.text("HEALTH_TOKEN")

# --- tracing and logs -------------------------------------------------------------------------------------------------
TRACING = env.text("TRACING", "off")  # off | console (stored for the console) | otlp
TRACING_SAMPLE_RATIO = env.seconds("TRACING_SAMPLE_RATIO", 1.0)
TRACING_RETENTION = timedelta(hours=env.number("TRACING_RETENTION_HOURS", 168))
LOG_FORMAT = env.text("LOG_FORMAT", "json")  # json | text
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"context": {"()": "config.logs.ContextFilter"}},
    "formatters": {
        "json": {"()": "config.logs.JsonFormatter"},
        "text": {
            "()": "config.logs.TextFormatter",
            "fmt": "%(levelname)s %(name)s %(message)s [request=%(request_id)s trace=%(trace_id)s]",
        },
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["context"]},
    },
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL", "INFO")},
    # A line for every sweep would bury the rest; errors of tasks still come through.
    "loggers": {name: {"level": "WARNING"} for name in ("celery.beat", "celery.worker.strategy", "celery.app.trace")}
    # It prints whole URLs, and one of a channel's has the secret of its app in the query.
    | {"urllib3": {"level": "CRITICAL"}},
}

UNFOLD = {
    "SITE_TITLE": "fenpay",
    "SITE_HEADER": "fenpay",
    "SITE_SYMBOL": "payments",
    "SITE_URL": None,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: f"{STATIC_URL}console/favicon.svg"}
    ],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "ENVIRONMENT": "config.console.environment",
    "DASHBOARD_CALLBACK": "payments.console.dashboard.dashboard",
    "GLOBAL_CALLBACK": "config.console.shared_context",
    "STYLES": [lambda _request: f"{STATIC_URL}console/console.css"],
    "SCRIPTS": [lambda _request: f"{STATIC_URL}console/console.js"],
    "SIDEBAR": {"navigation": "config.console.navigation"},
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.6)",
            "100": "oklch(93.2% .032 255.6)",
            "200": "oklch(88.2% .059 254.1)",
            "300": "oklch(80.9% .105 251.8)",
            "400": "oklch(70.7% .165 254.6)",
            "500": "oklch(62.3% .2 258)",
            "600": "oklch(53% .19 258)",
            "700": "oklch(47% .17 259)",
            "800": "oklch(42.4% .15 260)",
            "900": "oklch(37.9% .12 261)",
            "950": "oklch(28.2% .08 262)",
        }
    },
}
