"""An S3 server on localhost: moto's, one request at a time.

One at a time, because moto's own threads race: of 16 writers that put one name with If-None-Match
at once, two may win (see tests/unit/test_store.py for what holds here). `fail` makes it unwell.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

KEY, SECRET = "AKIATESTTESTTEST", "a-secret-that-nobody-may-see"


class S3Server:
    """Buckets in memory. Use `running()`."""

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=False)
        self.requests: list[str] = []
        """'GET /bucket/name', in order."""
        self.sent_bytes = 0
        self._unwell: list[tuple[int, bool]] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fail(self, *codes: int, after_doing_it: bool = False) -> None:
        """Answer the next requests with these codes; `after_doing_it`: only the answer is lost."""
        with self._lock:
            self._unwell += [(code, after_doing_it) for code in codes]

    def serve(self) -> None:
        self._server.serve_forever()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if request["PATH_INFO"] != "/moto-api/reset":
            self.requests.append(f"{request['REQUEST_METHOD']} {request['PATH_INFO']}")
        with self._lock:
            code, after_doing_it = self._unwell.pop(0) if self._unwell else (0, False)
        if code and after_doing_it:
            list(self._app(request, lambda *_: None))
        if code:
            start(f"{code} Unwell", [("Content-Length", "0")])
            return [b""]
        body = b"".join(self._app(request, start))
        if request["REQUEST_METHOD"] == "GET":
            self.sent_bytes += len(body)
        return [body]


@contextmanager
def running(*buckets: str) -> Iterator[S3Server]:
    """A server with these buckets, and an environment that leads to it, also for children."""
    server = S3Server()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    found = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }
    _forget()
    try:
        with patch.dict(os.environ, found):
            for bucket in buckets:
                _make(server, bucket)
            yield server
    finally:
        _forget()
        server.close()
        thread.join()


def _forget() -> None:
    """Neither this process nor idle decoder processes know another server's address."""
    from massannot.storage import store
    from massannot.video import reader as video

    store.forget_connections()
    video._POOL.close()


def _make(server: S3Server, bucket: str) -> None:
    """moto's buckets outlive its servers: an old one of this name is emptied first."""
    from urllib.request import Request, urlopen

    urlopen(Request(f"{server.url}/moto-api/reset", method="POST"))
    urlopen(Request(f"{server.url}/{bucket}", method="PUT"))
