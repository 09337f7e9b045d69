"""`manage.py` of either environment: `python demo/manage.py production data_sync list`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> None:
    sys.path.insert(0, str(ROOT))
    if len(arguments) > 1 and arguments[1] in ("staging", "production"):
        os.environ["DEMO_ENVIRONMENT"] = arguments.pop(1)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(arguments)


if __name__ == "__main__":
    main(sys.argv)
