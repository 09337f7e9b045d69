"""Google, for tests: Cloud Tasks over gRPC for the real client, the account that signs its tokens, the keys' page.

``python -m tests.google`` runs it as a process of its own, so that it goes on where a worker is killed: says
``ready ADDRESS CERTIFICATES_URL`` and ends with its standard input.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt
from google.cloud import tasks_v2

from data_sync.sources import google_tokens

EMAIL = "tasks@shop.iam.gserviceaccount.com"
ISSUER = "https://accounts.google.com"


class Account:
    """A key of Google's. `token` signs what it is told to."""

    def __init__(self, key_id: str = "key-1") -> None:
        self.key_id = key_id
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.private_key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "accounts")])
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(self.key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
            .decode()
        )
        self._signer = crypt.RSASigner.from_string(self.private_key, key_id)

    def token(self, audience: str, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token as Cloud Tasks sends it; `claims` replace some of it, and None leaves one out."""
        now = int(time.time())
        whole = {
            "iss": ISSUER,
            "aud": audience,
            "azp": "1",
            "sub": "1",
            "email": EMAIL,
            "email_verified": True,
            "iat": now,
            "exp": now + 3600,
        } | claims
        told = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(self._signer, told, header=header).decode()


class Pages(ThreadingHTTPServer):
    """JSON pages by path, and how often each was asked for. `status` answers all of them with an error."""

    daemon_threads = True

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        self.asked: list[str] = []
        self.status = 200
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                self._send(server.status, server.pages.get(self.path))

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.do_GET()

            def _send(self, status: int, page: Any) -> None:
                body = json.dumps(page).encode()
                self.send_response(status if page is not None else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@dataclass
class CloudTasks:
    """The service. Sends what it holds, repeats it until the answer is 2xx, and forgets no name.

    `refusals` are status codes for the next calls, one each; `lost_answers` is how many tasks are taken while the
    caller hears that the service is unavailable. `attempts` are pairs of a task's name and the status of its answer,
    0 where there was none.
    """

    account: Account = field(default_factory=Account)
    sends: bool = True
    longest_pause: float = 0.3
    queues: dict[str, Any] = field(default_factory=dict)
    tasks: dict[str, Any] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    refusals: list[grpc.StatusCode] = field(default_factory=list)
    lost_answers: int = 0
    attempts: list[tuple[str, int]] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)
    stopped: threading.Event = field(default_factory=threading.Event)

    def create_queue(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._called("CreateQueue", context)
        with self.lock:
            exists = request.queue.name in self.queues
            self.queues[request.queue.name] = request.queue
        if exists:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "Queue already exists")
        return request.queue

    def create_task(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._called("CreateTask", context)
        task = request.task
        if request.parent not in self.queues:
            context.abort(grpc.StatusCode.NOT_FOUND, "Requested entity was not found.")
        if not task.name.startswith(f"{request.parent}/tasks/"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Task name must be formatted …")
        if not 15 <= task.dispatch_deadline.total_seconds() <= 1800:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Task.dispatchDeadline must be between [15s, 30m]")
        with self.lock:
            is_used = task.name in self.names
            self.names.add(task.name)
            is_lost, self.lost_answers = self.lost_answers > 0, max(0, self.lost_answers - 1)
        if is_used:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "The task cannot be created because a task with this name …")
        self.tasks[task.name] = task
        if self.sends:
            threading.Thread(target=self._dispatch, args=(task,), daemon=True).start()
        if is_lost:
            context.abort(grpc.StatusCode.UNAVAILABLE, "The answer was lost.")
        return task

    def _called(self, name: str, context: grpc.ServicerContext) -> None:
        self.calls.append(name)
        if self.refusals:
            context.abort(self.refusals.pop(0), "So it was told to.")

    def _dispatch(self, task: Any) -> None:
        count = 0
        while not self.stopped.is_set() and task.name in self.tasks:
            answer = self.send(task, count)
            if 200 <= answer < 300:
                self.tasks.pop(task.name, None)
            else:
                count += 1
                self.stopped.wait(min(0.05 * 2**count, self.longest_pause))

    def send(self, task: Any, count: int = 0) -> int:
        """One attempt; the status of its answer, 0 if there was none within the task's deadline."""
        target = task.http_request
        head, _, name = task.name.rpartition("/tasks/")
        headers = {
            **target.headers,
            "User-Agent": "Google-Cloud-Tasks",
            "X-CloudTasks-QueueName": head.rpartition("/")[2],
            "X-CloudTasks-TaskName": name,
            "X-CloudTasks-TaskRetryCount": str(count),
            "X-CloudTasks-TaskExecutionCount": str(count),
            "X-CloudTasks-TaskETA": str(time.time()),
        }
        if target.oidc_token.service_account_email:
            # The audience defaults to the URL.
            audience = target.oidc_token.audience or target.url
            token = self.account.token(audience, email=target.oidc_token.service_account_email)
            headers["Authorization"] = f"Bearer {token}"
        try:
            status = requests.post(
                target.url,
                data=target.body,
                headers=headers,
                timeout=task.dispatch_deadline.total_seconds(),
                allow_redirects=False,
            ).status_code
        except requests.RequestException:
            status = 0
        self.attempts.append((name, status))
        return status

    def idle(self, seconds: float = 30) -> bool:
        """Waits until it holds no task."""
        end = time.monotonic() + seconds
        while self.tasks and time.monotonic() < end:
            time.sleep(0.02)
        return not self.tasks


def _handlers(service: CloudTasks) -> Any:
    def unary(method: Any, request: Any, response: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            method, request_deserializer=request.deserialize, response_serializer=response.serialize
        )

    return grpc.method_handlers_generic_handler(
        "google.cloud.tasks.v2.CloudTasks",
        {
            "CreateQueue": unary(service.create_queue, tasks_v2.CreateQueueRequest, tasks_v2.Queue),
            "CreateTask": unary(service.create_task, tasks_v2.CreateTaskRequest, tasks_v2.Task),
        },
    )


@contextmanager
def serving(service: CloudTasks) -> Iterator[str]:
    """The address at which it takes calls."""
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((_handlers(service),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        service.stopped.set()
        server.stop(None).wait()


@contextmanager
def showing(*accounts: Account) -> Iterator[Pages]:
    """A page of these accounts' certificates, at `/certs`."""
    pages = Pages()
    pages.pages["/certs"] = {account.key_id: account.certificate for account in accounts}
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    try:
        yield pages
    finally:
        pages.shutdown()
        pages.server_close()


class Metadata(ThreadingHTTPServer):
    """The metadata server of a machine of Google's, which gives ID tokens of its account to whoever runs there.

    `asked` has the audience of each token. `status` answers with an error, `silent` not at all; `life` is in seconds.
    """

    daemon_threads = True

    def __init__(self, account: Account) -> None:
        self.asked: list[str] = []
        self.life = 3600
        self.status = 200
        self.silent = False
        self.closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if server.silent:
                    server.closing.wait()
                    return
                body, kind = (
                    json.dumps({"email": EMAIL, "aliases": ["default"], "scopes": []}).encode(),
                    "application/json",
                )
                if self.path.startswith("/computeMetadata/v1/instance/service-accounts/default/identity?"):
                    [audience] = parse_qs(urlsplit(self.path).query)["audience"]
                    server.asked.append(audience)
                    now = int(time.time())
                    body, kind = account.token(audience, iat=now, exp=now + server.life).encode(), "text/html"
                self.send_response(server.status if server.asked else 200)
                self.send_header("Metadata-Flavor", "Google")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_port}"


@contextmanager
def on_google(account: Account, monkeypatch: Any) -> Iterator[Metadata]:
    """This process runs as that account, as far as google-auth sees."""
    from google.auth.compute_engine import _metadata

    server = Metadata(account)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("GCE_METADATA_IP", server.place)
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", server.place)  # Its environment variable is read at import.
    google_tokens.forget()
    try:
        yield server
    finally:
        google_tokens.forget()
        server.closing.set()
        server.shutdown()
        server.server_close()


def main() -> None:
    service = CloudTasks()
    with serving(service) as address, showing(service.account) as pages:
        print(f"ready {address} {pages.url}/certs", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
