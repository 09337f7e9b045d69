"""Another environment, read over HTTP from where it includes `data_sync.urls`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.errors import (
    DataSyncError,
    IncompleteStream,
    MalformedStream,
)
from data_sync.core.manifest import Manifest, parse_manifest
from data_sync.core.source import Handle, Request, within

from .addresses import parse_url
from .failures import Failed, Stage
from .identity import Identity
from .refusals import SourceFailed, refusal

if TYPE_CHECKING:
    from .answer import Answer
    from .transport import Transport

__all__ = ["MAX_MANIFEST", "MAX_OUTSIDE", "HttpSource", "SourceFailed"]

MAX_MANIFEST = 8 * 1024 * 1024
MAX_OUTSIDE = 1024 * 1024


class HttpSource:
    """A `RecordSource` behind a URL and an export key, or an account of Google's, or both.

    Opens no connection until it is asked for something. Every error names the source, what happened
    and what to do; none holds the key. For one thread at a time.
    """

    clock_skew: timedelta | None = None
    """By how much the source's clock was ahead at its last answer; None if it did not say."""

    def __init__(self, url: str, key: str, google_audience: str = "") -> None:
        self._url = parse_url(url)
        self._identity = Identity(key, google_audience)
        self._transport: Transport | None = None

    def __repr__(self) -> str:
        return f"HttpSource({str(self._url)!r})"

    def manifest(self) -> Manifest:
        with self._ask("manifest", MAX_MANIFEST) as answer:
            document = b"".join(self._named(answer.blocks()))
        try:
            return parse_manifest(canonical.loads_bounded(document.decode()))
        except (UnicodeDecodeError, MalformedStream) as error:
            reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise MalformedStream(f"{self._subject()} sent a manifest that cannot be used: {reason}")

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        with self._ask(f"export?{_query(request)}", conf.max_stream_bytes()) as answer:
            yield self._named(answer.blocks())

    @contextmanager
    def digests(self, request: Request) -> Iterator[Iterator[bytes]]:
        with self._ask(f"digests?{_query(request)}", conf.max_stream_bytes()) as answer:
            yield self._named(answer.blocks())

    @contextmanager
    def records(self, request: Request, handles: Sequence[Handle]) -> Iterator[Iterator[bytes]]:
        [label] = request.models
        asked: dict[str, Any] = {"handles": list(handles), "model": label}
        if request.omitted.get(label):
            asked["omit"] = list(request.omitted[label])
        with self._ask("records", conf.max_stream_bytes(), asked) as answer:
            yield self._named(answer.blocks())

    def outside(self, label: str, key_texts: Collection[str]) -> set[str]:
        found: set[str] = set()
        for batch in within(key_texts, lambda text: len(text.encode())):
            with self._ask(
                "records", MAX_OUTSIDE, {"model": label, "outside": list(map(canonical.loads, batch))}
            ) as answer:
                document = b"".join(self._named(answer.blocks()))
            found |= self._outside(document) & set(batch)
        return found

    def _outside(self, document: bytes) -> set[str]:
        try:
            match canonical.loads(document.decode()):
                case {"outside": list(keys)}:
                    return set(map(canonical.dumps, keys))
            reason = "it does not say which keys are outside"
        except (UnicodeDecodeError, MalformedStream) as error:
            reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise MalformedStream(f"{self._subject()} sent an answer that cannot be used: {reason}.")

    @contextmanager
    def open_file(self, checksum: str) -> Iterator[Iterator[bytes]]:
        """As the protocol says. The bytes are not verified here: hash them while reading."""
        what = f"files/{quote(checksum.removeprefix('sha256:'), safe='')}"
        with self._ask(what, conf.max_stream_bytes()) as answer:
            yield self._named(answer.blocks())

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    @contextmanager
    def _ask(self, what: str, limit: int, asked: dict[str, Any] | None = None) -> Iterator[Answer]:
        """The answer, with status 200, to a request for `what`, with a JSON body if need be; raises for every other."""
        body = None if asked is None else canonical.dumps(asked).encode()
        with ExitStack() as stack:
            yield self._opened(stack, what, limit, body)

    def _opened(self, stack: ExitStack, what: str, limit: int, body: bytes | None) -> Answer:
        from .transport import Transport

        try:
            if self._transport is None:
                self._transport = Transport(self._url, self._identity)
            answer = stack.enter_context(self._transport.ask(f"/data_sync/{what}", limit, body))
        except Failed as failure:
            failed = failure
        else:
            self.clock_skew = _skew(answer.headers.get("Date"))
            if answer.status != 200:
                raise refusal(self._subject(), what, answer)
            if answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html":
                raise self._failed(
                    "answer",
                    "answered with a web page instead of data. Check the URL: it is the prefix that "
                    "data_sync.urls is included under; and that no login page stands before it.",
                )
            return answer
        raise self._unreadable(failed)

    def _named(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The same blocks; what goes wrong between them is told with the source's name."""
        try:
            yield from blocks
            return
        except Failed as failed:
            error: DataSyncError = self._unreadable(failed)
        except IncompleteStream as cut:
            error = IncompleteStream(
                f"{self._subject()} did not send its whole answer: {cut}. Nothing was concluded from it; pull again."
            )
        except MalformedStream as malformed:
            error = MalformedStream(f"{self._subject()} sent an answer that cannot be used: {malformed}.")
        raise error

    def _unreadable(self, failed: Failed) -> SourceFailed:
        return self._failed(failed.stage, f"could not be read: {failed}. {_REMEDIES[failed.stage]}")

    def _failed(self, stage: Stage, predicate: str) -> SourceFailed:
        return SourceFailed(f"{self._subject()} {predicate}", stage)

    def _subject(self) -> str:
        return f"The source {self._url}"


def _query(request: Request) -> str:
    left_out = [f"{label}.{name}" for label in request.models for name in request.omitted.get(label, ())]
    omit = f"&omit={quote(','.join(left_out), safe=',.')}" if left_out else ""
    return f"models={quote(','.join(request.models), safe=',.')}{omit}"


_REMEDIES: dict[str, str] = {
    "token": "Check that this environment runs as a service account of Google's, or that "
    "GOOGLE_APPLICATION_CREDENTIALS names a key file; and the source's Google audience.",
    "proxy": "Check DATA_SYNC_PROXY, and that the proxy lets through CONNECT to the source's port.",
    "address": "Check the host in the source's URL.",
    "connect": "Check the URL's host and port, and that the source is running and reachable from here.",
    "tls": "Mend the certificate there; for a private authority, name its file in DATA_SYNC_CA_BUNDLE. "
    "Verification cannot be switched off.",
    "answer": "Pull again; if it stays so, look at the source's log.",
}


def _skew(date: str | None) -> timedelta | None:
    try:
        then = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    return then - datetime.now(UTC) if then.tzinfo is not None else None
