"""Connections of a transport: watched by its deadline, through its proxy if it has one, with bounded chunks."""

from __future__ import annotations

import http.client
import re
import socket
from typing import Any, ClassVar, Protocol

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from .bounded import bounded
from .failures import Deadline, ProxyFailed
from .proxy import Proxy


class Line(Protocol):
    """What connections ask of their transport."""

    deadline: Deadline
    proxy: Proxy | None


def pool_classes(line: Line) -> dict[str, type[HTTPConnectionPool]]:
    """By scheme, classes of pools whose connections belong to this transport."""

    class Plain(_Watched, HTTPConnection):
        _line = line

    class Secure(_Watched, HTTPSConnection):
        _line = line

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(;[^\r\n]*)?\r?\n")
_LONGEST_LINE = 1 << 16
_MOST_TRAILERS = 100


class _Response(http.client.HTTPResponse):
    """As Python's, but strict about chunks (RFC 9112, section 7.1).

    Python reads a size of -1 as "until the connection ends", all at once and into memory; and takes an answer that ends
    in the middle of its last chunk for whole, and trailers without end.
    """

    def _read_next_chunk_size(self) -> int:
        size = _CHUNK_SIZE.fullmatch(self._line())
        if size is None:
            raise ValueError("what is not the size of a chunk")
        return int(size[1], 16)

    def _read_and_discard_trailer(self) -> None:
        for _ in range(_MOST_TRAILERS):
            line = self._line()
            if line in (b"\r\n", b"\n"):
                return
            if not line.endswith(b"\n"):
                break
        raise http.client.IncompleteRead(b"")

    def _line(self) -> bytes:
        return self.fp.readline(_LONGEST_LINE)


class _Watched:
    """For connections of urllib3, which it is mixed into."""

    _line: ClassVar[Line]
    response_class: Any = _Response
    sock: Any
    host: Any
    port: Any
    timeout: Any

    def connect(self) -> None:
        proxy = self._line.proxy
        if proxy is not None:
            # To the address that was checked: the proxy resolves no name. Each time, because closing forgets it.
            headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
            self.set_tunnel(self.host, self.port, headers)  # type: ignore[attr-defined]
        super().connect()  # type: ignore[misc]
        self._watch()

    def request(self, *arguments: Any, **options: Any) -> None:
        self._watch()
        super().request(*arguments, **options)  # type: ignore[misc]

    def getresponse(self) -> Any:
        self._watch()
        self._line.deadline.is_sent = True
        return super().getresponse()  # type: ignore[misc]

    def _watch(self) -> None:
        if self.sock is not None:
            self._line.deadline.watch(self.sock)

    def _new_conn(self) -> socket.socket:
        proxy = self._line.proxy
        connection: socket.socket = (
            super()._new_conn() if proxy is None else _connected(proxy, self.timeout)  # type: ignore[misc]
        )
        self._line.deadline.watch(connection)
        return connection

    def _tunnel(self) -> None:
        failed = ""
        try:
            super()._tunnel()  # type: ignore[misc]
        except TimeoutError:
            failed = f"did not answer within {self.timeout:g} seconds"
        except (OSError, http.client.HTTPException) as error:
            status = re.search(r"Tunnel connection failed: (\d{3})", str(error))
            failed = f"answered with status {status[1]}" if status else "ended the connection, or does not speak HTTP"
        if failed:
            raise ProxyFailed(f"the proxy {self._line.proxy} {failed}")


def _connected(proxy: Proxy, seconds: float) -> socket.socket:
    reason = "its name has no address"
    try:
        found = bounded(lambda: socket.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM), seconds)
    except (OSError, UnicodeError):
        found = []
    for *_, address in found:
        try:
            connection = socket.create_connection((str(address[0]), proxy.port), seconds)
        except OSError as error:
            reason = error.strerror or f"no answer within {seconds:g} seconds"
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    raise ProxyFailed(f"no connection could be made to the proxy {proxy} ({reason})")
