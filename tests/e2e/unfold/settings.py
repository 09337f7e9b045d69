"""Those of the other tests, with django-unfold first among the apps, as it has to be."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as STOCK_APPS
from tests.settings import MIDDLEWARE as STOCK_MIDDLEWARE

INSTALLED_APPS = ["unfold", *STOCK_APPS]
# Unfold's own pages evaluate scripts that stand in attributes.
MIDDLEWARE = [name for name in STOCK_MIDDLEWARE if name != "tests.e2e.policy.strict"]
LOGIN_REDIRECT_URL = "admin:index"
