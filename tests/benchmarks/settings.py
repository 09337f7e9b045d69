"""Settings of one process of the benchmark: its own database, and for comparisons the other side's."""

import os
from pathlib import Path

FOLDER = Path(os.environ["DATA_SYNC_BENCHMARK_FOLDER"])
BASE_DIR = FOLDER


def _sqlite(name: str) -> dict[str, object]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / name, "OPTIONS": {"timeout": 60}}


DATABASES = {
    "default": _sqlite(os.environ.get("DATA_SYNC_BENCHMARK_DATABASE", "target.sqlite3")),
    "source": _sqlite(os.environ.get("DATA_SYNC_BENCHMARK_SOURCE", "source.sqlite3")),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for-benchmarks-only-and-not-a-secret"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
ROOT_URLCONF = "tests.urls"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "data_sync",
    "tests.benchmarks.app",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
DATA_SYNC_SPOOL_DIR = str(FOLDER)
DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
DATA_SYNC_EXPORT_TOKEN = "for-benchmarks-only-and-not-a-secret-token"
