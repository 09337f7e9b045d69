"""What the projects of these tests have in common: the settings of the other tests, and a moment at which workers stop.

The rest of their settings stands in docs/how-to/workers.md.
"""

from tests import outside
from tests.settings import *  # noqa: F403
from tests.settings import BASE_DIR, CHILD, DATABASES
from tests.settings import INSTALLED_APPS as STOCK_APPS

# Without the app of hard cases: some of its models are of one kind of database, and here are two.
INSTALLED_APPS = [name for name in STOCK_APPS if name != "tests.hard"] + ["tests.workers.stopping"]
DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
# Whoever takes over from a killed worker waits for so long.
DATA_SYNC_LEASE_SECONDS = 3

# The other environment is on SQLite, which takes less time to make.
source = outside.database("sqlite", BASE_DIR, "source")
if CHILD is None:
    DATABASES["source"] = source
elif CHILD == "source":
    DATABASES["default"] = outside.existing(source)
