"""``python -m tests.serving.server gunicorn|uvicorn FD [OPTION …]``: that web server, on a socket that listens already.

Ends with its standard input, so that it cannot outlive the tests.
"""

from __future__ import annotations

import os
import signal
import sys
import threading


def end_with_standard_input() -> None:
    os.read(0, 1)  # Not sys.stdin, whose lock a forked worker would inherit.
    os.kill(os.getpid(), signal.SIGTERM)


def main(kind: str, descriptor: str, *options: str) -> None:
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    if kind == "gunicorn":
        from gunicorn.app.wsgiapp import run

        place = ("--bind", f"fd://{descriptor}", "--no-control-socket")
        sys.argv = ["gunicorn", *place, *options, "django.core.wsgi:get_wsgi_application()"]
        run()
    else:
        from uvicorn.main import main as run

        run(["--fd", descriptor, "--factory", *options, "django.core.asgi:get_asgi_application"])


if __name__ == "__main__":
    main(*sys.argv[1:])
