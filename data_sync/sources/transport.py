"""HTTP as sources need it: to checked addresses only, verified, bounded in time and in bytes.

Imports requests, which takes a quarter of a second: import this module where a request is made.
"""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from data_sync import conf

from .addresses import Address, AddressRefused, SourceUrl, resolve
from .answer import Answer
from .failures import Deadline, Failed, explained


class Transport:
    """Requests to one source. For one thread at a time.

    The host is resolved once and its addresses stay, so that the name server cannot change its mind
    between the check and the connection, nor between the parts of one pull.
    """

    def __init__(self, url: SourceUrl, key: str) -> None:
        authorities = conf.ca_bundle()
        if authorities is not None and not os.path.exists(authorities):
            raise Failed("tls", f"DATA_SYNC_CA_BUNDLE names {authorities}, which does not exist")
        self._url = url
        self._addresses: list[Address] = []
        self._deadline = Deadline(0)
        self._has_answered = False
        self._session = _Session()
        self._session.trust_env = False  # No proxies, no .netrc and no certificates from the environment.
        self._session.auth = _Bearer(key)
        self._session.verify = authorities or True
        self._session.mount(f"{url.scheme}://", _Adapter(self))

    @contextmanager
    def ask(self, path: str, limit: int, body: bytes | None = None) -> Iterator[Answer]:
        """The answer to a GET of `path` below the source's URL, or to a POST of a JSON body.

        At most `limit` bytes of the answer's body are read. Either only asks, so that asking again does no harm.
        Raises `Failed`; `limit` and `DATA_SYNC_REQUEST_TIMEOUT` go for reading the body as well.
        """
        if not self._addresses:
            self._addresses = self._resolved()
        self._deadline = deadline = Deadline(conf.request_timeout())
        try:
            with self._respond(path, body) as response:
                yield Answer(response, limit, deadline)
        finally:
            deadline.cancel()

    def close(self) -> None:
        self._session.close()

    @property
    def server_hostname(self) -> str:
        return self._url.host

    def watch(self, connection: socket.socket) -> None:
        """Told of the connection that the present request goes over."""
        self._deadline.watch(connection)

    def _resolved(self) -> list[Address]:
        try:
            return resolve(self._url)
        except AddressRefused as refused:
            raise Failed("address", str(refused)) from None
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not a name"
            raise Failed("address", f"the name {self._url.host} has no address ({reason})") from None

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
                    timeout=(conf.connect_timeout(), conf.read_timeout()),
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
                failed = explained(error, self._deadline)
            if failed.stage != "connect" and not (again and failed.is_closed):
                break
            again = []
        # Outside of the handler, without context: requests' errors hold the request, and with it the key.
        raise failed


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, always: to prepare even a redirect that is not followed, requests reads its whole body."""


class _Bearer(AuthBase):
    """Holds the key where no `repr` shows it."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class _Adapter(HTTPAdapter):
    """Connects to an address, verifies the certificate for the name, tells the transport of connections."""

    __attrs__: list[str] = []

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, server_hostname=self._transport.server_hostname, **options)
        transport = self._transport

        class Plain(HTTPConnection):
            def getresponse(self) -> Any:
                transport.watch(self.sock)
                return super().getresponse()

        class Secure(HTTPSConnection):
            def getresponse(self) -> Any:
                transport.watch(self.sock)
                return super().getresponse()

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
