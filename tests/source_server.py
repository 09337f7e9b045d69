"""``python -m tests.source_server``: the other environment's web server, on a port of its own choice.

Says ``ready PORT`` once it listens, and ends with its standard input, so that it cannot outlive the tests.
"""

from __future__ import annotations

import os
import sys
import threading


def main() -> None:
    os.environ["DATA_SYNC_TEST_CHILD"] = "source"

    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    server.set_app(get_wsgi_application())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"ready {server.server_port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
