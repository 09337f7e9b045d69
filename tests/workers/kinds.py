"""The kinds of workers, each as docs/how-to/workers.md has it, and what is particular to a run of these tests."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

from tests import outside

RECIPES = Path(__file__).parents[2] / "docs" / "how-to" / "workers.md"
#: The queue of a run has this name, and its keys begin with it, so that two runs on one broker do not meet.
NAME = "DATA_SYNC_TEST_QUEUE"
NEW = django.VERSION >= (6,)

_HEAD = "from tests.workers.settings import *\n"
_TAIL = "\nfrom tests.workers.kinds import particular\n\nglobals().update(particular(globals()))\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`sections` of the page have the project's settings, in Python; `worker` is the one that starts a worker."""

    name: str
    database: str
    broker: str | None
    sections: tuple[str, ...]
    worker: str

    def why_not(self) -> str | None:
        """What is missing for it, in one line."""
        needed = [self.database, *([self.broker] if self.broker else [])]
        return next((reason for name in needed if (reason := outside.why_unreachable(name))), None)

    def command(self) -> list[str]:
        """That of the page, for a worker of this run."""
        *_, words = (line.split() for line in recipe(self.worker, "console").splitlines() if line.startswith("$ "))
        match words:
            case ["$", "python", "manage.py", *arguments]:
                return [sys.executable, "-m", "django", *arguments]
            case ["$", "celery", *arguments]:
                # One process, so that nothing comes before what the test waits for.
                queue = [queue_name() if word == "data_sync" else word for word in arguments]
                return [sys.executable, "-m", "celery", *queue, "--concurrency=1"]
        raise AssertionError(words)

    def write_project(self, folder: Path) -> None:
        """Makes the package `project` in a folder."""
        package = folder / "project"
        package.mkdir()
        settings = "\n".join(recipe(section, "python") for section in self.sections)
        (package / "settings.py").write_text(_HEAD + settings + _TAIL, encoding="utf-8")
        app, init = (recipe(section, "python") for section in ("project/celery.py", "project/__init__.py"))
        if self.broker:
            (package / "celery.py").write_text(app, encoding="utf-8")
        (package / "__init__.py").write_text(init if self.broker else "", encoding="utf-8")


BACKPORT = () if NEW else ("On Django 5.2",)
CELERY = (
    *BACKPORT,
    "Celery on Django 6.0 and newer" if NEW else "Celery on Django 5.2",
    "Settings of Celery",
)
DATABASE = "A worker on the database"
KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="celery-redis",
            database="postgresql",
            broker="redis",
            sections=(*CELERY, "The broker is Redis"),
            worker="The worker",
        ),
        Kind(
            name="celery-rabbitmq",
            database="postgresql",
            broker="rabbitmq",
            sections=(*CELERY, "The broker is RabbitMQ"),
            worker="The worker",
        ),
        Kind(
            name="database-postgresql",
            database="postgresql",
            broker=None,
            sections=(*BACKPORT, DATABASE),
            worker=DATABASE,
        ),
        Kind(
            name="database-sqlite",
            database="sqlite",
            broker=None,
            sections=(*BACKPORT, DATABASE),
            worker=DATABASE,
        ),
    )
}


def recipe(section: str, language: str) -> str:
    """The code of one language under a heading of the page, up to the next heading."""
    text = RECIPES.read_text(encoding="utf-8")
    found = re.search(rf"^##+ `?{re.escape(section)}`?\n(.*?)(?=^##+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{RECIPES.name} has no section {section!r}"
    code = re.findall(rf"^```{language}\n(.*?)^```$", found[1], re.MULTILINE | re.DOTALL)
    assert code, f"the section {section!r} of {RECIPES.name} has no {language}"
    return "\n".join(code)


def particular(settings: dict[str, Any]) -> dict[str, Any]:
    """What a project's settings lack for this run: where the broker is, and names of its own there."""
    url = settings.get("CELERY_BROKER_URL")
    if url is None:
        return {}
    broker, options = "rabbitmq", settings.get("CELERY_BROKER_TRANSPORT_OPTIONS", {})
    if url.startswith("redis:"):
        broker, options = "redis", {**options, "global_keyprefix": f"{queue_name()}:"}
    return {
        "TASKS": {"data_sync": {**settings["TASKS"]["data_sync"], "QUEUES": [queue_name()]}},
        "CELERY_BROKER_URL": outside.broker_url(broker),
        "CELERY_BROKER_TRANSPORT_OPTIONS": options,
        "CELERY_CONTROL_EXCHANGE": queue_name(),
        "CELERY_EVENT_EXCHANGE": f"{queue_name()}.events",
    }


def queue_name() -> str:
    return os.environ[NAME]


def tidy(kind: Kind, name: str) -> None:
    """Removes from a broker what a run with this queue has left there."""
    match kind.broker:
        case "redis":
            import redis

            with redis.Redis.from_url(outside.broker_url("redis")) as client:
                for key in client.scan_iter(f"{name}:*"):
                    client.delete(key)
        case "rabbitmq":
            import kombu

            with kombu.Connection(outside.broker_url("rabbitmq")) as connection, connection.channel() as channel:
                channel.queue_delete(name)
                for exchange in (name, f"{name}.events", f"{name}.pidbox", f"reply.{name}.pidbox"):
                    channel.exchange_delete(exchange)
