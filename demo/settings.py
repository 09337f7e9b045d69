"""Settings of both environments. Which one it is, `DEMO_ENVIRONMENT` says; see `demo.environments`."""

from __future__ import annotations

import os
from pathlib import Path
from secrets import token_urlsafe

from .environments import DEFAULT_PORTS, NAMES, STATE, TIME_ZONES, Environment

_name = os.environ.get("DEMO_ENVIRONMENT", "production")
if _name not in NAMES:
    raise SystemExit(f"DEMO_ENVIRONMENT is {' or '.join(NAMES)}, not {_name!r}.")
_peer = "production" if _name == "staging" else "staging"
_default_peer = f"http://127.0.0.1:{DEFAULT_PORTS[_peer]}"
ENVIRONMENT = Environment(
    name=_name,
    state=Path(os.environ.get("DEMO_DIR", STATE)),
    port=int(os.environ.get("DEMO_PORT", DEFAULT_PORTS[_name])),
    peer_port=int(os.environ.get("DEMO_PEER_URL", _default_peer).rsplit(":", 1)[1]),
)

BASE_DIR = ENVIRONMENT.directory
# Before the first start there is nothing yet that a key could protect.
SECRET_KEY = ENVIRONMENT.secret_key.read_text() if ENVIRONMENT.secret_key.exists() else token_urlsafe(50)
# The servers listen on 127.0.0.1 only. DEBUG also lets data_sync use plain http there.
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "data_sync",
    "demo.shop",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "demo.security.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "demo.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).resolve().parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "demo.context.environment",
            ]
        },
    }
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ENVIRONMENT.database,
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            # A deferred transaction that reads first and writes later fails when another one writes.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "data_sync_staging": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": ENVIRONMENT.directory / "fetched", "base_url": None},
    },
}
MEDIA_ROOT = ENVIRONMENT.media
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
STATICFILES_DIRS = [Path(__file__).resolve().parent / "static"]

# Cookies do not know ports: with one name for both, a log-in here would be a log-out there.
SESSION_COOKIE_NAME = f"demo_{ENVIRONMENT.name}_session"
CSRF_COOKIE_NAME = f"demo_{ENVIRONMENT.name}_csrf"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# Unequal on purpose: equal moments stay equal.
TIME_ZONE = TIME_ZONES[ENVIRONMENT.name]
USE_TZ = True
LANGUAGE_CODE = "en"

DATA_SYNC_STAGING_STORAGE = "data_sync_staging"
# With a key, an export proves where it was made, and the trail that nothing was cut off its end.
DATA_SYNC_AUDIT_KEYS = [ENVIRONMENT.audit_key.read_text()] if ENVIRONMENT.audit_key.exists() else []
