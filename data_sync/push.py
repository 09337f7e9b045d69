"""`POST data_sync/tasks/run`: where Cloud Tasks has a task's work done. Google's token is all: no session, no cookie.

Cloud Tasks repeats what is not answered by 2xx, so that is said only where nothing is left to do; and a task that is
repeated does no harm.
"""

from __future__ import annotations

import logging
from typing import Any, cast

from django.contrib.auth.decorators import login_not_required
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from data_sync import tasks
from data_sync.core import canonical
from data_sync.core.errors import Busy, DataSyncError, HandOverFailed, MalformedStream
from data_sync.services import certificates
from data_sync.services.due import TaskKind
from data_sync.services.redaction import log_error, redacted_here
from data_sync.tasks import notifying, tokens

MAX_BODY = 1024
MAX_ID = 2**63 - 1
SOONEST, LATEST = 10, 300
"""Seconds after which a task should come again. Cloud Tasks holds its whole queue back by what it is told, so no long
lease is waited for to its end; and no worker is asked more often than a person would look."""
KINDS: tuple[TaskKind, ...] = ("pull", "apply", "notify")

logger = logging.getLogger("data_sync")


@csrf_exempt
@login_not_required
@transaction.non_atomic_requests
def run_task(request: HttpRequest) -> HttpResponse:
    try:
        response = _answer(request)
    except Exception as error:
        # Not Django's own page of an error, which shows settings and rows while DEBUG is on.
        log_error("A task could not be done.", error, hidden=bool(redacted_here()))
        response = _json(500, {"error": "The task could not be done; see the log there."})
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _answer(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        response = _json(405, {"error": "Only POST is answered here."})
        response["Allow"] = "POST"
        return response
    try:
        if not tokens.is_ours(request.headers.get("Authorization")):
            response = _json(401, {"error": "A valid token of the queue's service account is needed."})
            response["WWW-Authenticate"] = 'Bearer realm="data_sync"'
            return response
    except certificates.KeysUnavailable as error:
        return _later(error.seconds, "Google's keys cannot be had, so no token can be verified; see the log there.")
    try:
        kind, pk = _task(request.read(MAX_BODY + 1))
    except ValueError as error:
        return _json(400, {"error": str(error)})
    return _run(kind, pk)


def _task(body: bytes) -> tuple[TaskKind, int]:
    """Reads `{"task": "apply", "id": 7}`, and nothing else. Raises `ValueError` with what is wrong."""
    if len(body) > MAX_BODY:
        raise ValueError(f"The body is larger than {MAX_BODY} bytes.")
    try:
        given = canonical.loads(body.decode())
    except (UnicodeDecodeError, MalformedStream) as error:
        raise ValueError(f"The body is not JSON: {error}") from None
    if not isinstance(given, dict) or given.keys() != {"task", "id"}:
        raise ValueError("The body is not an object with the members task and id alone.")
    if given["task"] not in KINDS:
        raise ValueError(f"The task is none of {', '.join(KINDS)}.")
    if type(given["id"]) is not int or not 0 < given["id"] <= MAX_ID:
        raise ValueError("The id is not a whole number above 0.")
    return cast(TaskKind, given["task"]), given["id"]


def _run(kind: TaskKind, pk: int) -> HttpResponse:
    try:
        if kind == "notify":
            notifying.deliver(pk)
        else:
            tasks.deliver(kind, pk)
    except Busy as error:
        return _later(error.seconds, str(error))
    except HandOverFailed as error:
        # What is left of a pull could not be submitted: Cloud Tasks brings this task again, and it goes on.
        return _later(SOONEST, str(error))
    except (OperationalError, InterfaceError) as error:
        # Its text may hold values of rows.
        log_error(f"The task of {kind} {pk} met a database that is busy or away.", error, hidden=True)
        return _later(SOONEST, f"The database is busy or away ({type(error).__name__}); see the log there.")
    except DataSyncError as error:
        logger.exception("The task of %s %s failed.", kind, pk)
        return _json(500, {"error": str(error)})
    return _json(200, {"task": kind, "id": pk})


def _later(seconds: int, sentence: str) -> HttpResponse:
    response = _json(503, {"error": sentence})
    response["Retry-After"] = str(min(max(seconds, SOONEST), LATEST))
    return response


def _json(status: int, document: dict[str, Any]) -> HttpResponse:
    return HttpResponse(canonical.dumps(document), status=status, content_type="application/json")
