"""The proxy through which sources are reached, where a setting names one. The environment's proxies never count."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from django.views.decorators.debug import sensitive_variables

from data_sync.core.errors import DataSyncError


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """Where a proxy is, and how one logs in to it. It is reached by plain http, which then holds TLS to the source."""

    host: str
    port: int
    url: str = field(repr=False)
    """With user and password."""
    authorization: str = field(repr=False)
    """What its `Proxy-Authorization` header wants; "" where it wants nobody's name."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@sensitive_variables()
def parse_proxy(text: str) -> Proxy | None:
    """Reads `DATA_SYNC_PROXY`; None where it is empty. Raises `DataSyncError`, which shows nothing of it."""
    if not text:
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port = "", 0
    if (
        not re.fullmatch(r"[\w.:-]+", host, re.ASCII)
        or not port
        or parts.scheme != "http"
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
    ):
        raise DataSyncError("DATA_SYNC_PROXY is not of the form http://host:port or http://user:password@host:port.")
    authorization = ""
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(user.encode()).decode()}"
    return Proxy(host=host, port=port, url=text, authorization=authorization)
