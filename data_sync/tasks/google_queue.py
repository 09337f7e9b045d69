"""Google Cloud Tasks: one HTTP request to our push target for each submission, at least once.

Google's libraries take most of a second to import, so only what sends does, inside of the functions.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any

from data_sync import conf
from data_sync.core import canonical
from data_sync.services.due import Submission

from . import target

if TYPE_CHECKING:
    from google.cloud.tasks_v2 import CloudTasksClient

CALL_SECONDS = 5.0
PATIENCE_SECONDS = 12.0
"""For one call with its repetitions. A person waits for it: whoever is not served by then is served by the sweeper."""
SHORTEST, LONGEST = 15, 1800
"""Seconds between which Google takes a dispatch deadline (Task.dispatch_deadline)."""
USUAL = 600
"""What a request may take on App Engine, where instances are scaled automatically; and what Google gives by itself."""
# A queue that was just made may take no tasks for a minute: too long to wait here, but it is mostly quicker.
_NEW_QUEUE_PAUSES = (0.0, 0.5, 1.5, 3.0)

_lock = threading.Lock()
_clients: dict[tuple[int, str], CloudTasksClient] = {}


def enqueue(submission: Submission) -> None:
    """Creates the task of a submission, and the queue if there is none.

    Raises `InvalidInput` for settings that cannot work, `AddressUnknown` where App Engine does not tell its, and
    what Google's libraries raise.
    """
    target.require_sound_settings()
    request = _request(submission)
    client = _client()
    refusal = _create(client, request)
    if refusal is None:
        return
    _make_queue(client, _queue_path())
    for pause in _NEW_QUEUE_PAUSES:
        time.sleep(pause)
        refusal = _create(client, request)
        if refusal is None:
            return
    raise refusal


def _request(submission: Submission) -> dict[str, Any]:
    parent = _queue_path()
    # At random first: names that begin alike are slow to look up (Google's advice). The rest is for who reads the
    # queue. A name cannot be used again for up to 24 hours, so each submission has one of its own; and a call that is
    # repeated because its answer was lost repeats the name, so that it makes no second task.
    name = f"{secrets.token_hex(8)}-{submission.kind}-{submission.pk}-{submission.number}"
    return {
        "parent": parent,
        "task": {
            "name": f"{parent}/tasks/{name}",
            "dispatch_deadline": {"seconds": deadline()},
            "http_request": {
                "http_method": "POST",
                "url": target.url(),
                "headers": {"Content-Type": "application/json"},
                "body": canonical.dumps({"task": submission.kind, "id": submission.pk}).encode(),
                "oidc_token": {
                    "service_account_email": conf.service_account_email(),
                    "audience": target.audience(),
                },
            },
        },
    }


def deadline() -> int:
    """Seconds that a task may take: what is set, within what Google takes."""
    return int(min(max(conf.task_deadline() or USUAL, SHORTEST), LONGEST))


def _queue_path() -> str:
    return f"{_location_path()}/queues/{conf.cloud_tasks_queue_id()}"


def _location_path() -> str:
    return f"projects/{conf.google_cloud_project()}/locations/{conf.cloud_tasks_location()}"


def _create(client: CloudTasksClient, request: dict[str, Any]) -> Exception | None:
    """Creates the task. Gives what Google says where there is no such queue, which is no error the first time."""
    from google.api_core.exceptions import AlreadyExists, FailedPrecondition, NotFound

    try:
        client.create_task(request, retry=_patience(), timeout=_each_call())
    except AlreadyExists:
        return None  # An earlier call, whose answer was lost, has made it.
    except (NotFound, FailedPrecondition) as refusal:
        # The second is what Google says of a queue that was made a moment ago.
        return refusal
    return None


def _make_queue(client: CloudTasksClient, path: str) -> None:
    from google.api_core.exceptions import AlreadyExists

    queue = {
        "name": path,
        # Google's own begin at a tenth of a second, which is too soon for work that another worker is at.
        "retry_config": {
            "max_attempts": 100,
            "min_backoff": {"seconds": 5},
            "max_backoff": {"seconds": 300},
            "max_doublings": 6,
        },
    }
    try:
        client.create_queue({"parent": _location_path(), "queue": queue}, retry=_patience(), timeout=_each_call())
    except AlreadyExists:
        pass  # Another process was quicker; or ours, in a call whose answer was lost.


def _patience() -> Any:
    """Repeats what may succeed a moment later. The request stays the same, its task's name too."""
    from google.api_core.exceptions import DeadlineExceeded, ServiceUnavailable
    from google.api_core.retry import Retry, if_exception_type

    return Retry(
        predicate=if_exception_type(DeadlineExceeded, ServiceUnavailable),
        initial=0.2,
        maximum=2.0,
        multiplier=2.0,
        timeout=PATIENCE_SECONDS,
    )


def _each_call() -> Any:
    from google.api_core.timeout import ConstantTimeout

    return ConstantTimeout(CALL_SECONDS)


def _client() -> CloudTasksClient:
    """One client a process, made when it is first used: a channel does not survive a fork."""
    key = (os.getpid(), os.environ.get(target.EMULATOR, ""))
    with _lock:
        if key not in _clients:
            _clients[key] = _connect(key[1])
        return _clients[key]


def _connect(emulator: str) -> CloudTasksClient:
    from google.cloud.tasks_v2 import CloudTasksClient

    if not emulator:
        return CloudTasksClient()
    import grpc
    from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

    return CloudTasksClient(transport=CloudTasksGrpcTransport(channel=grpc.insecure_channel(emulator)))
