"""What other environments ask for. The export key, or the token in its place, is all: no session, no cookie, no CSRF
token counts here.

An answer is sent only once it is complete, so an error is always a status with a sentence
(`{"error": …}`), never a body that stops.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeAlias

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from data_sync.core import canonical
from data_sync.core.errors import DataSyncError, InvalidInput, NotPermitted, WrongFile
from data_sync.core.source import MAX_BODY, Request
from data_sync.services import asked, callers, export, export_events, rate_limit
from data_sync.services.callers import Caller
from data_sync.services.certificates import KeysUnavailable
from data_sync.services.redaction import log_error, redacted_here

from .sending import accepts_gzip, range_of, send, send_records, size_of

View: TypeAlias = Callable[..., HttpResponseBase]

_RECORDED_SECONDS = 30
"""After which one may ask again, where the audit trail could not be written."""


class _TooLarge(InvalidInput):
    """More was sent than is read."""


def _endpoint(method: str = "GET") -> Callable[[View], View]:
    """A view for those who may read from here; it is given who it is."""

    def endpoint(view: View) -> View:
        @wraps(view)
        def answer(request: HttpRequest, **arguments: str) -> HttpResponseBase:
            response = _answer(view, method, request, **arguments)
            response["Cache-Control"] = "no-store"
            response["X-Content-Type-Options"] = "nosniff"
            return response

        return csrf_exempt(login_not_required(transaction.non_atomic_requests(answer)))

    return endpoint


def _answer(view: View, method: str, request: HttpRequest, **arguments: str) -> HttpResponseBase:
    if request.method != method:
        response = _error(405, f"Only {method} is answered here.")
        response["Allow"] = method
        return response
    address = rate_limit.client_address(request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", ""))
    try:
        caller = callers.authenticate(request.headers.get("Authorization"), address)
        return _refused() if caller is None else view(request, caller, **arguments)
    except export_events.NoLongerAccepted:
        return _refused()
    except rate_limit.TooManyFailures as error:
        return _later(429, error.seconds, str(error))
    except KeysUnavailable as error:
        return _later(
            503, error.seconds, "Google's keys cannot be had, so no token can be verified; see the log there."
        )
    except export_events.NotRecorded as error:
        return _later(503, _RECORDED_SECONDS, str(error))
    except DataSyncError as error:
        return _error(_status(error), str(error))
    except OSError as error:
        # A full disk or a storage that is down; the reader can do nothing but wait.
        log_error("data_sync could not prepare an answer.", error, hidden=bool(redacted_here()))
        return _error(
            503,
            f"The answer could not be prepared ({error.strerror or type(error).__name__}); see the log there.",
        )
    except DatabaseError as error:
        # Its text may hold values of rows, which a key need not be allowed to read.
        log_error("data_sync could not read the database.", error, hidden=bool(redacted_here()))
        return _error(503, f"The database there could not be read ({type(error).__name__}); see the log there.")


@_endpoint()
def manifest(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """`GET data_sync/manifest`: the models that the key may read, their fields and counts."""
    document = export.manifest(asked.scope(request.GET.get("models"), caller.labels))
    return HttpResponse(canonical.dumps(document), content_type="application/json")


@_endpoint()
def stream(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """`GET data_sync/export?models=a.b,c.d&omit=a.b.field`: every record in scope, as one stream."""
    compress, wanted = accepts_gzip(request), _request(request, caller)
    spool = export.spool_export(wanted, compress=compress)
    export_events.record_export(caller, "exported", wanted, spool)
    return send_records(request, spool.file, compress)


@_endpoint()
def digests(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """`GET data_sync/digests?models=a.b,c.d&omit=a.b.field`: key hash, digest and handle of every record in scope."""
    wanted = _request(request, caller)
    spool = export.spool_digests(wanted)
    export_events.record_export(caller, "listed", wanted, spool)
    response = send(request, spool.file, 0, size_of(spool.file))
    # Said outright, because hashes do not compress: a GZipMiddleware leaves them alone.
    response["Content-Encoding"] = "identity"
    return response


@_endpoint("POST")
def records(request: HttpRequest, caller: Caller) -> HttpResponseBase:
    """`POST data_sync/records`: the records behind some handles, or which keys lie outside the scope."""
    match asked.some_records(_body(request), caller.labels):
        case asked.SomeRecords() as some:
            compress = accepts_gzip(request)
            spool = export.spool_records(some, compress=compress)
            export_events.record_some(caller, "records_read", {"rows": spool.closing["counts"]}, spool.file)
            return send_records(request, spool.file, compress)
        case asked.KeysOutside() as outside:
            document = export.outside(outside)
            detail = {"outside": {outside.label: len(outside.key_texts)}}
            export_events.record_some(caller, "records_read", detail, None)
            return HttpResponse(canonical.dumps(document), content_type="application/json")


@_endpoint()
def file(request: HttpRequest, caller: Caller, checksum: str) -> HttpResponseBase:
    """`GET data_sync/files/<sha256>`: one file's bytes, or one range of them."""
    stored = export.open_file(checksum, caller.labels)
    size = size_of(stored)
    export_events.record_some(caller, "files_read", {"checksum": f"sha256:{checksum}", "size": size}, stored)
    try:
        asked = range_of(request, size, checksum)
    except ValueError:
        stored.close()
        response = _error(416, f"The file has {size} bytes.")
        response["Content-Range"] = f"bytes */{size}"
        return response
    start, stop = asked or (0, size)
    sent = send(request, stored, start, stop)
    if asked is not None:
        sent.status_code = 206
        sent["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    sent["Accept-Ranges"] = "bytes"
    sent["ETag"] = f'"{checksum}"'
    sent["Content-Disposition"] = "attachment"
    # Said outright, so that a GZipMiddleware leaves the bytes and their number alone.
    sent["Content-Encoding"] = "identity"
    return sent


def _status(error: DataSyncError) -> int:
    match error:
        case asked.UnknownModel() | WrongFile():
            return 404
        case _TooLarge():
            return 413
        case InvalidInput():
            return 400
        case NotPermitted():
            return 403
        case _:
            return 409


def _error(status: int, sentence: str) -> HttpResponse:
    return HttpResponse(canonical.dumps({"error": sentence}), status=status, content_type="application/json")


def _refused() -> HttpResponse:
    response = _error(401, "A valid export key is needed, as “Authorization: Bearer KEY”.")
    response["WWW-Authenticate"] = 'Bearer realm="data_sync"'
    return response


def _later(status: int, seconds: int, sentence: str) -> HttpResponse:
    response = _error(status, sentence)
    response["Retry-After"] = str(seconds)
    return response


def _request(request: HttpRequest, caller: Caller) -> Request:
    return asked.request(request.GET.get("models"), request.GET.get("omit"), caller.labels)


def _body(request: HttpRequest) -> bytes:
    """The body, as far as it is read. Raises `_TooLarge`.

    Not `request.body`: what that takes is the project's `DATA_UPLOAD_MAX_MEMORY_SIZE`.
    """
    announced = request.headers.get("Content-Length", "")
    body: bytes = b"" if announced.isdecimal() and int(announced) > MAX_BODY else request.read(MAX_BODY + 1)
    if len(body) > MAX_BODY or (announced.isdecimal() and int(announced) > MAX_BODY):
        raise _TooLarge(f"The body is larger than {MAX_BODY} bytes; ask for fewer rows at a time.")
    return body
