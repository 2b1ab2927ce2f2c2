"""moto's S3 and Secrets Manager in a process of their own: `python -m sandbox.moto_process`.

Prints its port on standard output once it serves on 127.0.0.1, and ends when its standard input is closed. A process
of its own keeps moto's state, which is global, apart from `mock_aws` in tests, and uses the second core.
"""

import logging
import os
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from sandbox.logs import log_to_stderr


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True


def main() -> None:
    log_to_stderr()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
