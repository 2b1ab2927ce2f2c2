"""An S3 endpoint on a real socket for what moto does not do: bodies made while they are read, and torn connections."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from shared import aws

CHUNK = bytes(range(256)) * 256


class S3Server:
    """Answers every GET with one object of `size` bytes. The first `breaks` answers end in the middle."""

    def __init__(self, *, size: int, breaks: int = 0) -> None:
        self.size, self.breaks, self.requests = size, breaks, 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                left = server.size // 2 if server.requests <= server.breaks else server.size
                self.send_response(200)
                self.send_header("Content-Length", str(server.size))
                self.send_header("x-amz-version-id", "generated")
                self.end_headers()
                with suppress(ConnectionError):
                    while left:
                        left -= self.wfile.write(CHUNK[:left])

            def log_message(self, *_: Any) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    @property
    def sha256(self) -> str:
        digest, left = hashlib.sha256(), self.size
        while left:
            digest.update(CHUNK[:left])
            left -= min(left, len(CHUNK))
        return digest.hexdigest()

    @contextmanager
    def in_place_of_s3(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """The functions' client of S3 talks to this server."""
        thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", self.url)
        aws.client.cache_clear()
        try:
            yield
        finally:
            monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
            aws.client.cache_clear()
            self._http.shutdown()
            self._http.server_close()
            thread.join()
