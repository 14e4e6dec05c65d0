"""Django settings of the sandbox server. What was chosen at its start is in environment.py."""

from pathlib import Path

from sandbox import environment, identity

SANDBOX_ROOT = Path(__file__).parent
_DIRECTORY = environment.current().directory


def _secret() -> str:
    try:
        return identity.load(_DIRECTORY).secret
    except identity.IdentityMissing:
        return "no identity yet: enough to inspect the project, not to serve"


SECRET_KEY = _secret()
DEBUG = False
ALLOWED_HOSTS = ["*"]  # it stands in for several hosts and trusts none of the names
INSTALLED_APPS = ["sandbox"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "sandbox.urls"
APPEND_SLASH = False
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _DIRECTORY / "sandbox.sqlite3",
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",  # take the write lock at once: a late upgrade would not wait
            "timeout": 20,
            "init_command": "PRAGMA synchronous=NORMAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [SANDBOX_ROOT / "templates"],
        "OPTIONS": {"context_processors": ["django.template.context_processors.i18n"]},
    }
]
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [SANDBOX_ROOT / "locale"]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        # A 500 that a rule wants is the sandbox's daily work and stands in the call log; an exception is a defect.
        "defects": {"()": "django.utils.log.CallbackFilter", "callback": lambda record: bool(record.exc_info)},
    },
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"}},
    "root": {"handlers": ["out"], "level": "INFO"},
    "loggers": {"django.request": {"filters": ["defects"]}, "urllib3": {"level": "ERROR"}},
}
