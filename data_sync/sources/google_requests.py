"""How Google is asked: past the environment's proxies, by `DATA_SYNC_PROXY` where that is set, without redirects."""

from __future__ import annotations

from typing import Any

from data_sync import conf

from .proxy import parse_proxy

TIMEOUT_SECONDS = 5.0
"""For how long Google may be silent; see `bounded` for how long it may take."""


def google_request() -> Any:
    """google-auth's way to make requests, within these rules. Imports google-auth. Raises `DataSyncError` where
    `DATA_SYNC_PROXY` cannot be read."""
    import requests
    from google.auth.transport.requests import Request

    class Bounded(Request):
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            options["timeout"] = min(options.get("timeout") or TIMEOUT_SECONDS, TIMEOUT_SECONDS)
            send: Any = super().__call__
            return send(*arguments, **options, allow_redirects=False)

    session = requests.Session()
    session.trust_env = False
    proxy = parse_proxy(conf.proxy())
    if proxy is not None:
        # For what is asked by https; the metadata server speaks plain http, and is on this machine.
        session.proxies = {"https": proxy.url}
    return Bounded(session)
