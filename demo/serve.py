"""The server of one environment, as a child process that never outlives the demo.

Its standard input is a pipe that the parent holds open. However the parent ends, the pipe closes, and
the server ends with it: no orphan keeps a port.
"""

from __future__ import annotations

import os
import sys
import threading

from django.core.management import execute_from_command_line


def main() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    address = f"127.0.0.1:{os.environ['DEMO_PORT']}"
    execute_from_command_line(["manage.py", "runserver", "--noreload", address])


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
