"""Settings of one process of the benchmark: its own database, and for comparisons the other side's."""

import os
from pathlib import Path

from tests.benchmarks import databases

FOLDER = Path(os.environ["DATA_SYNC_BENCHMARK_FOLDER"])
KIND = os.environ["DATA_SYNC_BENCHMARK_KIND"]
BASE_DIR = FOLDER

DATABASES = {
    "default": databases.settings(KIND, FOLDER, os.environ["DATA_SYNC_BENCHMARK_DATABASE"]),
    "source": databases.settings(KIND, FOLDER, os.environ["DATA_SYNC_BENCHMARK_SOURCE"]),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for-benchmarks-only-and-not-a-secret"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
ROOT_URLCONF = "tests.benchmarks.urls"
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
