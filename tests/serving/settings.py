"""The tests' settings as a careful project has them in production: every request is wrapped in a transaction."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.serving"]
DATABASES["default"]["ATOMIC_REQUESTS"] = True
if PATIENCE := os.environ.get("DATA_SYNC_TEST_PATIENCE"):
    DATABASES["default"]["OPTIONS"]["timeout"] = float(PATIENCE)  # Seconds that SQLite waits for another writer.
DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]

# For the push target: who sends tasks, and where.
DATA_SYNC_SERVICE_ACCOUNT_EMAIL = os.environ.get("DATA_SYNC_TEST_ACCOUNT", "")
DATA_SYNC_BASE_URL = "https://www.example.com"
DATA_SYNC_FORCE_SYNC = True

# The models of the tests are odd on purpose, and every command would say so.
SILENCED_SYSTEM_CHECKS = ["fields.E010", "models.W042", "data_sync.W001", "data_sync.W002"]

# What goes wrong stands in the server's log, as it would with a project's own settings.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler", "level": "ERROR"}},
    "loggers": {"django": {"handlers": ["console"]}},
}
