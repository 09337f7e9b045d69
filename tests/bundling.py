"""``python -m tests.bundling FILE [OPTION …]``: `data_sync bundle` at the other environment."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def bundle_of_source(path: Path, *options: str) -> Path:
    """A bundle of what the source has; fails where it could not be made."""
    from tests.environments import child

    made = child("tests.bundling", str(path), *options, DATA_SYNC_TEST_CHILD="source")
    said, _ = made.communicate(timeout=60)
    assert made.returncode == 0, said
    return path


def main(arguments: Sequence[str]) -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("data_sync", "bundle", *arguments, "--json")


if __name__ == "__main__":
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    main(sys.argv[1:])
