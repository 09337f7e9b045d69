"""HTTP as sources need it: to checked addresses only, verified, bounded in time and in bytes.

Imports requests, which takes a quarter of a second: import this module where a request is made.
"""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from data_sync import conf

from .addresses import AddressRefused, SourceUrl, resolve
from .answer import Answer
from .bounded import bounded
from .connections import pool_classes
from .failures import Deadline, Failed, explained
from .identity import Identity
from .metadata import Address
from .proxy import parse_proxy


class Transport:
    """Requests to one source. For one thread at a time.

    The host is resolved once and its addresses stay, so that the name server cannot change its mind
    between the check and the connection, nor between the parts of one pull.
    """

    def __init__(self, url: SourceUrl, identity: Identity) -> None:
        authorities = conf.ca_bundle()
        if authorities is not None and not os.path.exists(authorities):
            raise Failed("tls", f"DATA_SYNC_CA_BUNDLE names {authorities}, which does not exist")
        self.proxy = parse_proxy(conf.proxy())
        self.deadline: Deadline
        self._url = url
        self._identity = identity
        self._addresses: list[Address] = []
        self._has_answered = False
        self._session = _Session()
        self._session.trust_env = False  # No proxies, no .netrc and no certificates from the environment.
        self._session.auth = identity
        self._session.verify = authorities or True
        self._session.mount(f"{url.scheme}://", _Adapter(self))

    @contextmanager
    def ask(
        self, path: str, limit: int, body: bytes | None = None, *, seconds: float | None = None
    ) -> Iterator[Answer]:
        """The answer to a GET of `path` below the source's URL, or to a POST of a JSON body.

        At most `limit` bytes of the answer's body are read. Either only asks, so that asking again does no harm.
        Raises `Failed`; `limit` and the time, `seconds` or else `DATA_SYNC_REQUEST_TIMEOUT`, go for reading the body as
        well.
        """
        self.deadline = deadline = Deadline(conf.request_timeout() if seconds is None else seconds)
        try:
            if not self._addresses:
                self._addresses = self._resolved()
            self._identity.prepare(deadline.remaining)
            with self._respond(path, body) as response:
                yield Answer(response, limit, deadline)
        finally:
            deadline.cancel()

    def close(self) -> None:
        self._session.close()

    @property
    def server_hostname(self) -> str:
        return self._url.host

    def _resolved(self) -> list[Address]:
        seconds = self._connect_timeout()
        try:
            # The system's resolver takes as long as it is set to, and no time-out.
            return bounded(lambda: resolve(self._url), seconds)
        except AddressRefused as refused:
            reason = str(refused)
        except TimeoutError:
            reason = f"the name {self._url.host} was not resolved within {seconds:g} seconds"
        except (OSError, UnicodeError) as error:
            cause = getattr(error, "strerror", None) or "it is not a name"
            reason = f"the name {self._url.host} has no address ({cause})"
        raise Failed("address", reason)

    def _connect_timeout(self) -> float:
        return min(conf.connect_timeout(), self.deadline.remaining)

    def _respond(self, path: str, body: bytes | None) -> requests.Response:
        failed = Failed("address", "the name has no address")
        # A kept connection may be closed by the source just as it is used again: asked once more, it is a new one.
        again = self._addresses[:1] if self._has_answered else []
        for address in [*again, *self._addresses]:
            try:
                response = self._session.request(
                    "GET" if body is None else "POST",
                    self._url.at(address) + path,
                    data=body,
                    headers={
                        "Host": self._url.authority,
                        # Compressing for one's own machine costs more than it saves.
                        "Accept-Encoding": "identity" if address.is_loopback else "gzip",
                        "User-Agent": "data_sync",
                        **({} if body is None else {"Content-Type": "application/json"}),
                    },
                    timeout=(self._connect_timeout(), conf.read_timeout()),
                    allow_redirects=False,
                    stream=True,
                )
                self._has_answered = True
                return response
            except (
                requests.RequestException,
                urllib3.exceptions.HTTPError,
                OSError,
                http.client.HTTPException,
            ) as error:
                failed = explained(error, self.deadline)
            if self.deadline.expired or (failed.stage != "connect" and not (again and failed.is_closed)):
                break
            again = []
        # Outside of the handler, without context: requests' errors hold the request, and with it the key.
        raise failed


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, always: to prepare even a redirect that is not followed, requests reads its whole body."""


class _Adapter(HTTPAdapter):
    """Connects to an address, and verifies the certificate for the name."""

    __attrs__: list[str] = []

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, server_hostname=self._transport.server_hostname, **options)
        self.poolmanager.pool_classes_by_scheme = pool_classes(self._transport)
