"""What is sent to Cloud Tasks, by the real client to a real server."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from typing import Any

import grpc
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import set_script_prefix
from google.api_core.exceptions import GoogleAPICallError, PermissionDenied

from data_sync.core.errors import DataSyncError, InvalidInput
from data_sync.services.due import Submission
from data_sync.tasks import app_engine, google_queue, target
from tests import google

pytestmark = pytest.mark.no_database
QUEUE = "projects/shop/locations/europe-west1/queues/data-sync"
SEVENTH = Submission(kind="apply", pk=7, number=3)


def sent(service: google.CloudTasks) -> Any:
    [task] = service.tasks.values()
    return task


def test_a_task_has_the_ids_and_a_token_for_the_push_target(cloud_tasks: google.CloudTasks) -> None:
    google_queue.enqueue(SEVENTH)
    task = sent(cloud_tasks)
    request = task.http_request
    assert json.loads(request.body) == {"task": "apply", "id": 7}
    assert request.http_method.name == "POST"
    assert request.url == "https://www.example.com/api/data_sync/tasks/run"
    assert dict(request.headers)["Content-Type"] == "application/json"
    assert request.oidc_token.service_account_email == google.EMAIL
    assert request.oidc_token.audience == request.url
    assert task.dispatch_deadline.total_seconds() == 600


def test_names_begin_at_random_and_say_what_they_are_of(cloud_tasks: google.CloudTasks) -> None:
    for number in (1, 2):
        google_queue.enqueue(Submission(kind="pull", pk=12, number=number))
    names = [name.removeprefix(f"{QUEUE}/tasks/") for name in cloud_tasks.tasks]
    assert all(re.fullmatch(rf"[0-9a-f]{{16}}-pull-12-{number}", name) for number, name in enumerate(names, 1))
    assert names[0][:16] != names[1][:16]


@pytest.mark.parametrize(("value", "seconds"), [(15, 15), (1800, 1800), (5, 15), (86400, 1800), ("120", 120)])
def test_the_deadline_is_one_that_google_takes(
    cloud_tasks: google.CloudTasks, settings: Any, value: Any, seconds: int
) -> None:
    settings.DATA_SYNC_TASK_DEADLINE = value
    google_queue.enqueue(SEVENTH)
    assert sent(cloud_tasks).dispatch_deadline.total_seconds() == seconds


def test_the_queue_is_made_where_it_is_missing(cloud_tasks: google.CloudTasks, settings: Any) -> None:
    settings.DATA_SYNC_CLOUD_TASKS_LOCATION = "us-east1"
    settings.DATA_SYNC_CLOUD_TASKS_QUEUE_ID = "of_my_own"
    google_queue.enqueue(SEVENTH)
    google_queue.enqueue(SEVENTH)
    [queue] = cloud_tasks.queues.values()
    assert queue.name == "projects/shop/locations/us-east1/queues/of-my-own"
    assert queue.retry_config.min_backoff.total_seconds() == 5
    assert cloud_tasks.calls == ["CreateTask", "CreateQueue", "CreateTask", "CreateTask"]
    assert len(cloud_tasks.tasks) == 2


def test_two_may_make_the_queue_at_once(cloud_tasks: google.CloudTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=10)
    make = google_queue._make_queue
    monkeypatch.setattr(google_queue, "_make_queue", lambda *given: (both.wait(), make(*given)))
    failures = []

    def enqueue() -> None:
        try:
            google_queue.enqueue(SEVENTH)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=enqueue) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert cloud_tasks.calls.count("CreateQueue") == 2
    assert len(cloud_tasks.tasks) == 2


def test_a_queue_that_is_not_ready_yet_is_waited_for(cloud_tasks: google.CloudTasks) -> None:
    not_ready = grpc.StatusCode.FAILED_PRECONDITION
    cloud_tasks.queues[QUEUE] = object()
    cloud_tasks.refusals = [not_ready, grpc.StatusCode.ALREADY_EXISTS, not_ready]
    google_queue.enqueue(SEVENTH)
    assert cloud_tasks.calls == ["CreateTask", "CreateQueue", "CreateTask", "CreateTask"]
    assert len(cloud_tasks.tasks) == 1


def test_a_queue_that_stays_away_is_an_error_with_googles_words(
    cloud_tasks: google.CloudTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(google_queue, "_NEW_QUEUE_PAUSES", (0, 0))
    gone = grpc.StatusCode.FAILED_PRECONDITION
    cloud_tasks.refusals = [gone, grpc.StatusCode.ALREADY_EXISTS, gone, gone]
    with pytest.raises(GoogleAPICallError, match="So it was told to"):
        google_queue.enqueue(SEVENTH)
    assert not cloud_tasks.tasks


def test_a_task_whose_answer_was_lost_is_made_once(cloud_tasks: google.CloudTasks) -> None:
    cloud_tasks.queues[QUEUE] = object()
    cloud_tasks.lost_answers = 1
    google_queue.enqueue(SEVENTH)
    assert cloud_tasks.calls == ["CreateTask", "CreateTask"]
    assert len(cloud_tasks.names) == 1


def test_what_is_refused_for_good_is_an_error_at_once(cloud_tasks: google.CloudTasks) -> None:
    cloud_tasks.refusals = [grpc.StatusCode.PERMISSION_DENIED]
    with pytest.raises(PermissionDenied):
        google_queue.enqueue(SEVENTH)
    assert cloud_tasks.calls == ["CreateTask"]


def test_a_service_that_says_nothing_is_not_waited_for(
    cloud_tasks: google.CloudTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(google_queue, "CALL_SECONDS", 0.3)
    monkeypatch.setattr(google_queue, "PATIENCE_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", f"127.0.0.1:{mute.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(Exception):  # noqa: B017  (RetryError or what it is about)
            google_queue.enqueue(SEVENTH)
        assert time.monotonic() - started < 5


# Where it is sent


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://example.com", "https://example.com/api/data_sync/tasks/run"),
        ("https://example.com/", "https://example.com/api/data_sync/tasks/run"),
        (" https://example.com:8443/shop/ ", "https://example.com:8443/shop/api/data_sync/tasks/run"),
        ("https://example.com/api", "https://example.com/api/data_sync/tasks/run"),
        ("https://example.com/shop/api", "https://example.com/shop/api/data_sync/tasks/run"),
        ("https://example.com/rapi", "https://example.com/rapi/api/data_sync/tasks/run"),
    ],
)
def test_the_base_url_is_that_of_the_site_or_that_of_a_data_source(settings: Any, base: str, url: str) -> None:
    settings.DATA_SYNC_BASE_URL = base
    assert target.url() == target.audience() == url


def test_the_urls_may_be_included_by_another_app(settings: Any) -> None:
    settings.DATA_SYNC_BASE_URL = "https://example.com"
    settings.ROOT_URLCONF = "tests.tasks.nested_urls"
    assert target.url() == "https://example.com/v1/sync/data_sync/tasks/run"


def test_the_url_is_the_same_in_every_process(settings: Any) -> None:
    settings.DATA_SYNC_BASE_URL = "https://example.com/shop"
    try:
        set_script_prefix("/shop/")
        below = target.url()
    finally:
        set_script_prefix("/")
    assert below == target.url() == "https://example.com/shop/api/data_sync/tasks/run"


def test_the_audience_can_be_another(settings: Any, cloud_tasks: google.CloudTasks) -> None:
    settings.DATA_SYNC_TASK_AUDIENCE = "of-my-own"
    google_queue.enqueue(SEVENTH)
    assert sent(cloud_tasks).http_request.oidc_token.audience == "of-my-own"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATA_SYNC_SERVICE_ACCOUNT_EMAIL", "", "DATA_SYNC_SERVICE_ACCOUNT_EMAIL is not set"),
        ("DATA_SYNC_GOOGLE_CLOUD_PROJECT", None, "no project is named"),
        ("DATA_SYNC_BASE_URL", "", "DATA_SYNC_BASE_URL does not say"),
        ("DATA_SYNC_BASE_URL", "www.example.com", "without https://"),
        ("DATA_SYNC_BASE_URL", "https://me:secret@example.com", "more than scheme, host and path"),
        ("DATA_SYNC_CLOUD_TASKS_QUEUE_ID", "data sync", "which Google takes for no queue"),
    ],
)
def test_settings_that_cannot_work_are_named_and_nothing_is_sent(
    cloud_tasks: google.CloudTasks, settings: Any, name: str, value: Any, words: str
) -> None:
    setattr(settings, name, value)
    with pytest.raises(InvalidInput, match=words):
        google_queue.enqueue(SEVENTH)
    assert cloud_tasks.calls == []


def test_a_token_is_not_sent_in_the_clear(settings: Any, cloud_tasks: google.CloudTasks, monkeypatch: Any) -> None:
    settings.DATA_SYNC_BASE_URL = "http://www.example.com"
    google_queue.enqueue(SEVENTH)  # Of an emulator, on this machine.
    monkeypatch.delenv("CLOUD_TASKS_EMULATOR_HOST")
    with pytest.raises(InvalidInput, match="not https"):
        google_queue.enqueue(SEVENTH)


# App Engine


@pytest.fixture
def on_app_engine(
    cloud_tasks: google.CloudTasks,
    certificates_page: google.Pages,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    tmp_path: Any,
    account: google.Account,
) -> google.Pages:
    """An instance of version `two` of the service `web`, whose app says its address."""
    pages = certificates_page
    settings.TASKS = {}
    settings.DATA_SYNC_BASE_URL = ""
    settings.DATA_SYNC_GOOGLE_CLOUD_PROJECT = None
    for name, value in {
        "GAE_ENV": "standard",
        "GAE_SERVICE": "web",
        "GAE_VERSION": "two",
        "GOOGLE_CLOUD_PROJECT": "shop",
    }.items():
        monkeypatch.setenv(name, value)
    pages.pages["/v1/apps/shop"] = {"defaultHostname": "shop.ew.r.appspot.com"}
    pages.pages["/token"] = {"access_token": "for tests", "expires_in": 3600, "token_type": "Bearer"}
    credentials = tmp_path / "account.json"
    credentials.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "shop",
                "client_email": google.EMAIL,
                "private_key": account.private_key,
                "private_key_id": account.key_id,
                "token_uri": f"{pages.url}/token",
            }
        )
    )
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
    monkeypatch.setattr(app_engine, "APPS", f"{pages.url}/v1/apps")
    app_engine.default_hostname.cache_clear()
    return pages


def test_on_app_engine_our_own_version_gets_the_task(
    on_app_engine: google.Pages, cloud_tasks: google.CloudTasks
) -> None:
    google_queue.enqueue(SEVENTH)
    request = sent(cloud_tasks).http_request
    assert request.url == "https://two-dot-web-dot-shop.ew.r.appspot.com/api/data_sync/tasks/run"
    assert request.oidc_token.audience == target.audience()
    assert target.audience() == "https://web-dot-shop.appspot.com/api/data_sync/tasks/run"


def test_app_engine_is_asked_once_for_its_address(on_app_engine: google.Pages) -> None:
    for _ in range(3):
        google_queue.enqueue(SEVENTH)
    assert on_app_engine.asked.count("/v1/apps/shop") == 1


def test_an_address_that_app_engine_does_not_tell_is_not_guessed(
    on_app_engine: google.Pages, cloud_tasks: google.CloudTasks
) -> None:
    del on_app_engine.pages["/v1/apps/shop"]
    with pytest.raises(DataSyncError, match=r"status 404.*role App Engine Viewer; or set DATA_SYNC_BASE_URL"):
        google_queue.enqueue(SEVENTH)
    assert cloud_tasks.calls == []
    on_app_engine.pages["/v1/apps/shop"] = {"defaultHostname": "shop.appspot.com"}
    google_queue.enqueue(SEVENTH)
    assert sent(cloud_tasks).http_request.url.startswith("https://two-dot-web-dot-shop.appspot.com/")


def test_a_base_url_goes_before_app_engines_address(
    on_app_engine: google.Pages, cloud_tasks: google.CloudTasks, settings: Any
) -> None:
    settings.DATA_SYNC_BASE_URL = "https://shop.example.com"
    google_queue.enqueue(SEVENTH)
    assert sent(cloud_tasks).http_request.url == "https://shop.example.com/api/data_sync/tasks/run"
    assert "/v1/apps/shop" not in on_app_engine.asked


def test_a_host_that_is_too_long_for_a_name_leaves_the_version_out(settings: Any) -> None:
    settings.DATA_SYNC_GAE_SERVICE, settings.DATA_SYNC_GAE_VERSION = "web", "v" * 60
    assert target.host_of_version("shop.ew.r.appspot.com") == "web-dot-shop.ew.r.appspot.com"
    settings.DATA_SYNC_GAE_SERVICE = "s" * 60
    with pytest.raises(InvalidInput, match="DATA_SYNC_BASE_URL"):
        target.host_of_version("shop.ew.r.appspot.com")


def test_off_app_engine_its_settings_make_no_address(settings: Any) -> None:
    settings.DATA_SYNC_GAE_SERVICE, settings.DATA_SYNC_GOOGLE_CLOUD_PROJECT = "web", "shop"
    assert target.audience() == ""
    assert {problem.code for problem in target.problems()} == {"service_account", "base_url"}


def test_a_project_without_the_urls_is_told_so(settings: Any, cloud_tasks: google.CloudTasks) -> None:
    settings.ROOT_URLCONF = "tests.tasks.no_urls"
    with pytest.raises(InvalidInput, match=r"do not include data_sync\.urls"):
        google_queue.enqueue(SEVENTH)
    assert target.audience() == ""


def test_a_queue_name_that_is_ambiguous_is_refused(with_tasks: Any) -> None:
    from data_sync.tasks import functions

    with_tasks(QUEUES=["one", "two"])
    with pytest.raises(ImproperlyConfigured, match="one, two"):
        functions.enqueue(SEVENTH)
