"""Settings of the demo merchant, from the environment that `python -m sandbox demo-merchant` prepares."""

import os
import secrets
from pathlib import Path

_DIRECTORY = Path(os.environ.get("DEMO_MERCHANT_DIR", ".local/demo"))
SECRET_KEY = secrets.token_urlsafe(32)  # nothing that outlives the process is signed with it
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["sandbox.demomerchant"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "sandbox.demomerchant.urls"
APPEND_SLASH = False
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _DIRECTORY / "demo-merchant.sqlite3",
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA synchronous=NORMAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parents[1] / "templates"],
        "OPTIONS": {"context_processors": ["django.template.context_processors.i18n"]},
    }
]
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [Path(__file__).parents[1] / "locale"]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(message)s"}},
    "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"}},
    "root": {"handlers": ["out"], "level": "INFO"},
    "loggers": {"django.request": {"level": "ERROR"}},
}
