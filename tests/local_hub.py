"""A hub on this machine: what huggingface_hub asks of a server, answered from folders."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any


class Hub:
    """Serves folders as repositories, all at one `commit`, with one branch, main."""

    def __init__(self, repositories: dict[str, Path], *, commit: str):
        self.repositories = repositories
        self.commit = commit
        self.gated: set[str] = set()
        self.requests: list[str] = []
        self.tokens: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Hub:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer()

            def do_GET(self) -> None:
                self._answer()

            def _answer(self) -> None:
                hub.requests.append(f"{self.command} {self.path}")
                if token := self.headers.get("Authorization"):
                    hub.tokens.add(token)
                path = self.path.split("?")[0]
                parts = path.strip("/").split("/")
                if parts[:2] == ["api", "models"]:
                    revision = parts[5] if len(parts) > 5 else "main"
                    self._describe("/".join(parts[2:4]), revision, tree="tree" in parts[4:5])
                elif len(parts) >= 5 and parts[2] == "resolve":
                    self._send_file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
                else:
                    self._refuse(404, "EntryNotFound")

            def _known(self, repo: str, revision: str) -> bool:
                if repo in hub.gated:
                    self._refuse(403, "GatedRepo")
                elif repo not in hub.repositories:
                    self._refuse(404, "RepoNotFound")
                elif revision not in ("main", hub.commit):
                    self._refuse(404, "RevisionNotFound")
                else:
                    return True
                return False

            def _describe(self, repo: str, revision: str, *, tree: bool) -> None:
                if not self._known(repo, revision):
                    return
                files = sorted(p for p in hub.repositories[repo].iterdir())
                sizes = {p.name: p.stat().st_size for p in files}
                answer: Any = {
                    "id": repo,
                    "modelId": repo,
                    "sha": hub.commit,
                    "siblings": [{"rfilename": n, "size": size} for n, size in sizes.items()],
                }
                if tree:
                    answer = [
                        {"type": "file", "path": n, "size": size, "oid": hub.commit}
                        for n, size in sizes.items()
                    ]
                self._send(json.dumps(answer).encode(), "application/json", "")

            def _send_file(self, repo: str, revision: str, name: str) -> None:
                if not self._known(repo, revision):
                    return
                path = hub.repositories[repo] / name
                if not path.is_file():
                    self._refuse(404, "EntryNotFound")
                    return
                body = path.read_bytes()
                self._send(body, "application/octet-stream", hashlib.sha1(body).hexdigest())

            def _send(self, body: bytes, kind: str, etag: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-Repo-Commit", hub.commit)
                if etag:
                    self.send_header("ETag", f'"{etag}"')
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def _refuse(self, status: int, code: str) -> None:
                self.send_response(status)
                self.send_header("X-Error-Code", code)
                self.send_header("X-Error-Message", code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
