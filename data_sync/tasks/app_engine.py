"""The address of an App Engine app, which its environment does not say.

Hosts of apps made since February 2020 have the code of a region in them (PROJECT.REGION_ID.r.appspot.com) that follows
from no setting and no environment variable. App Engine's Admin API tells it: docs/decisions/app-engine-address.md.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

from data_sync.core.errors import DataSyncError

APPS = "https://appengine.googleapis.com/v1/apps"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUT = 10


class AddressUnknown(DataSyncError):
    """App Engine could not be asked for the address of this app; the message says what else would do."""


@lru_cache(maxsize=4)
def default_hostname(project: str) -> str:
    """The app's own host, asked for once in a process. Raises `AddressUnknown`."""
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession
    from requests import RequestException

    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
        with AuthorizedSession(credentials) as session:
            answer = session.get(f"{APPS}/{quote(project, safe='')}", timeout=_TIMEOUT)
        host = answer.json().get("defaultHostname") if answer.status_code == 200 else None
    except (GoogleAuthError, RequestException, ValueError, AttributeError) as error:
        raise _unknown(f"{type(error).__name__}: {error}") from error
    if not isinstance(host, str) or not host:
        raise _unknown(f"status {answer.status_code}")
    return host


def _unknown(reason: str) -> AddressUnknown:
    return AddressUnknown(
        f"App Engine did not say which address this app has ({reason}). Enable its Admin API and give the app's "
        "service account the role App Engine Viewer; or set DATA_SYNC_BASE_URL to the address."
    )
