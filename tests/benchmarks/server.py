"""The source's server, for a child process: it prints its port, and ends when its standard input does."""

from __future__ import annotations

import logging
import os
import sys
import threading

import django
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler


def main() -> None:
    django.setup()
    from django.core.handlers.wsgi import WSGIHandler

    from tests.benchmarks import instruments

    instruments.count()
    logging.getLogger("django.server").setLevel(logging.CRITICAL)
    server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler)
    server.set_app(WSGIHandler())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    print(server.server_port, flush=True)
    server.serve_forever()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
