"""Django settings of the tests; ``DATA_SYNC_TEST_DATABASE`` chooses the database (see tests/outside.py)."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from tests import outside

if "DATA_SYNC_TEST_FOLDER" not in os.environ:
    # In the environment, so that child processes work in the same folder; who made it removes it.
    os.environ["DATA_SYNC_TEST_FOLDER"] = tempfile.mkdtemp(prefix="data-sync-tests-")
    atexit.register(shutil.rmtree, os.environ["DATA_SYNC_TEST_FOLDER"], ignore_errors=True)
BASE_DIR = Path(os.environ["DATA_SYNC_TEST_FOLDER"])

DATABASE = os.environ.get("DATA_SYNC_TEST_DATABASE", "sqlite")
if DATABASE == "mariadb":
    import pymysql

    pymysql.install_as_MySQLdb()
# "source" is the database of the other environment, whose server tests/environments.py starts.
DATABASES = {
    "default": outside.database(DATABASE, BASE_DIR),
    "source": outside.database(DATABASE, BASE_DIR, "source"),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SECRET_KEY = "for-tests-only-and-not-a-secret"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Fast; nothing here is worth guarding.

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "data_sync",
    "tests.testapp",
    "tests.hard",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "tests.e2e.policy.strict",
]
ROOT_URLCONF = "tests.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

STATIC_URL = "/static/"
MEDIA_URL = "/media/"
MEDIA_ROOT = BASE_DIR / "media"

# A child process of tests/environments.py works on a database that the tests have made: as the server of the
# other environment, with everything of its own and in another time zone, or as a second worker of this one.
CHILD = os.environ.get("DATA_SYNC_TEST_CHILD")
if CHILD:
    DATABASES = {"default": outside.existing(DATABASES[CHILD])}
if CHILD == "source":
    MEDIA_ROOT = BASE_DIR / "source-media"
    TIME_ZONE = "Pacific/Auckland"
