"""Why a request to a source brought nothing: its deadline, and what the libraries' errors mean."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import Any, Literal, TypeAlias

from data_sync import conf
from data_sync.core.errors import IncompleteStream

Stage: TypeAlias = Literal["token", "address", "proxy", "connect", "tls", "key", "answer"]


class Failed(Exception):
    """A request that brought no answer: `stage` says how far it came, `str()` why it ended there.

    `is_closed`: the source closed the connection without a word.
    """

    def __init__(self, stage: Stage, reason: str, *, is_closed: bool = False) -> None:
        super().__init__(reason)
        self.stage = stage
        self.is_closed = is_closed


class ProxyFailed(OSError):
    """The proxy could not be reached, or refused; `str()` says why, without its password."""


class Deadline:
    """Ends a request for good: time-outs count silence only, and a byte a second is not silence.

    Runs from when it is made until it is cancelled; `watch` tells it which connection to end.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self.is_sent = False
        """Whether the request has gone out, so that it is the answer that is waited for."""
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    @property
    def remaining(self) -> float:
        """Seconds; never less than a hundredth, because zero means something else to sockets."""
        return max(0.01, self._ends_at - time.monotonic())

    def watch(self, connection: socket.socket) -> None:
        with self._lock:
            self._connection = connection
            if self.expired:
                _shut_down(connection)

    def cancel(self) -> None:
        self._timer.cancel()

    def failure(self) -> Failed:
        return Failed(
            "answer",
            f"the answer took longer than {self._seconds:g} seconds in all (DATA_SYNC_REQUEST_TIMEOUT)",
        )

    def _end(self) -> None:
        with self._lock:
            self.expired = True
            if self._connection is not None:
                _shut_down(self._connection)


def _shut_down(connection: socket.socket) -> None:
    try:
        # The plain socket's method: the TLS one also takes the session from under the reading thread.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        pass  # It has ended already.


def explained(error: BaseException, deadline: Deadline) -> Failed:
    """What an error before the answer means."""
    from urllib3 import exceptions

    if deadline.expired:
        return deadline.failure()
    # By meaning, not by depth: the outermost error is the one that says least.
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, ProxyFailed):
            return Failed("proxy", str(cause))
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Failed("tls", f"its certificate is not valid: {cause.verify_message}")
    for cause in causes:
        match cause:
            case exceptions.NewConnectionError():
                reasons = [error.strerror for error in causes if isinstance(error, OSError) and error.strerror]
                return Failed("connect", f"no connection could be made ({[*reasons, 'no reason given'][0]})")
            case ssl.SSLError():
                return Failed("tls", f"TLS failed ({cause.reason or 'no reason given'})")
            case exceptions.ConnectTimeoutError():
                seconds = conf.connect_timeout()
                return Failed("connect", f"it accepted no connection within {seconds:g} seconds")
            case exceptions.ReadTimeoutError() if not deadline.is_sent:
                seconds = conf.connect_timeout()
                return Failed("tls", f"it took longer than {seconds:g} seconds over the handshake")
            case exceptions.ReadTimeoutError():
                return Failed("answer", f"it was silent for {conf.read_timeout():g} seconds")
    return Failed(
        "answer",
        "it ended the connection without an answer, or with one that is not HTTP",
        is_closed=any(isinstance(cause, ConnectionError) for cause in causes),
    )


def cut_short(error: BaseException, deadline: Deadline) -> Failed | IncompleteStream:
    """What an error in the middle of an answer means."""
    from urllib3 import exceptions

    if deadline.expired:
        return deadline.failure()
    if any(isinstance(cause, exceptions.ReadTimeoutError) for cause in _causes(error)):
        return Failed("answer", f"it fell silent for {conf.read_timeout():g} seconds in the middle of its answer")
    return IncompleteStream("the connection ended in the middle of the answer")


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it was made of: urllib3 and requests wrap in arguments, `reason` and context."""
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
    return found
