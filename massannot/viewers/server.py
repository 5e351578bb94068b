"""The local server of `massannot view`: pages, lists, films and depth pictures of one dataset.

It answers this machine only, and only below a path that begins with the token: whoever does not
know it gets 404, whatever is asked. A request says which clip it wants and never names a file. The
Host header must be ours, so that no page of another site can reach the server through a name that
points here.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from massannot.errors import UsageError
from massannot.viewers.clip_index import ClipQuery
from massannot.viewers.depth_sheet import sheet_jpeg
from massannot.viewers.page import page, policy
from massannot.viewers.report import Heading
from massannot.viewers.review_routes import ReviewDesk
from massannot.viewers.served_dataset import ServedDataset

HOST = "127.0.0.1"
A_PAGE = 200
"""Clips that one answer lists at most."""
HEADERS = {
    "Content-Security-Policy": policy(served=True) + "; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


def new_token() -> str:
    return secrets.token_urlsafe(24)


def app(
    served: ServedDataset, shown: Heading, *, token: str, port: int, desk: ReviewDesk | None = None
) -> App:
    """The ASGI application. `desk`: hears decisions; without one the pages only show."""
    from starlette.applications import Starlette
    from starlette.routing import Mount, Route

    pages = Pages(served, shown, desk)
    routes = [
        Route("/", pages.index),
        Route("/clip/{clip_id}", pages.clip),
        Route("/api/clips", pages.clips),
        Route("/film/{clip_id}", pages.film),
        Route("/depth/{clip_id}.jpg", pages.depth),
        *(() if desk is None else desk.routes()),
    ]
    inner = Starlette(
        routes=[Mount(f"/{token}", routes=routes)],
        exception_handlers={UsageError: _refused},
    )
    return Guard(inner, token=token, port=port)


@dataclass(frozen=True)
class Pages:
    """The answers; each runs in a thread of its own."""

    served: ServedDataset
    shown: Heading
    desk: ReviewDesk | None

    def index(self, request: Any) -> Any:
        shown = self.shown
        data = self.served.index_page(shown.title, shown.lines, shown.notes)
        data["review"] = None if self.desk is None else self.desk.of_index()
        return _html(page(shown.title, data, served=True))

    def clip(self, request: Any) -> Any:
        clip_id = request.path_params["clip_id"]
        if not self.served.has(clip_id):
            return _nothing()
        data = self.served.clip_page(clip_id)
        data["review"] = None if self.desk is None else self.desk.of_clip(clip_id)
        return _html(page(data["name"], data, served=True))

    def clips(self, request: Any) -> Any:
        """One part of the list: `offset`, `n` and the fields of ClipQuery; `failure` lists
        failures instead."""
        from starlette.responses import JSONResponse

        asked = request.query_params
        offset, n = _whole(asked, "offset", 0), min(_whole(asked, "n", 60), A_PAGE)
        if kind := asked.get("failure"):
            failed = self.served.failed
            chosen = [card for card in failed if kind in ("*", card["class"])]
            return JSONResponse({"total": len(failed), "matched": len(chosen), "pending": None,
                                 "clips": chosen[offset : offset + n]})  # fmt: skip
        index = self.served.index
        decided = {} if self.desk is None else self.desk.decisions()
        wanted = None if self.desk is None else self.desk.listed(asked, decided)
        found = index.select(query_of(asked, clip_ids=wanted))
        cards = index.cards(found[offset : offset + n])
        for card in cards:
            mine = None if self.desk is None else self.desk.decision_of(card["id"], decided)
            card |= {"link": f"clip/{card['id']}", "still": None, "decision": mine}
        pending = index.states_counted if asked.get("state") and index.states_counted < 1 else None
        return JSONResponse({"total": len(index), "matched": len(found), "pending": pending,
                             "clips": cards})  # fmt: skip

    def film(self, request: Any) -> Any:
        """Whole or a range of bytes, as the browser wants it."""
        from starlette.responses import FileResponse

        clip_id = request.path_params["clip_id"]
        path = self.served.film(clip_id) if self.served.has(clip_id) else None
        if path is None:
            return _nothing()
        kind = "video/webm" if path.suffix == ".webm" else "video/mp4"
        return FileResponse(path, media_type=kind)

    def depth(self, request: Any) -> Any:
        from starlette.responses import Response

        clip_id = request.path_params["clip_id"]
        if not self.served.has(clip_id):
            return _nothing()
        maps = self.served.depth_maps(clip_id)
        return Response(sheet_jpeg(maps), media_type="image/jpeg") if maps.num_rows else _nothing()


def query_of(asked: Any, *, clip_ids: Sequence[str] | None = None) -> ClipQuery:
    """The query of an address. Raises UsageError for what is no number or no known word."""
    return ClipQuery(
        q=asked.get("q", ""),
        phrase=asked.get("phrase") or None,
        state=asked.get("state") or None,
        camera=asked.get("camera") or None,
        most=_number(asked, "most"),
        shot=None if not asked.get("shot") else _whole(asked, "shot", 0),
        sort=asked.get("sort") or "worst",
        clip_ids=clip_ids,
    )


def _whole(asked: Any, name: str, default: int) -> int:
    number = _number(asked, name)
    if number is None:
        return default
    if not number.is_integer() or not 0 <= number < 2**31:
        raise UsageError(f"{name}: found {number}, expected 0, 1, 2, ...")
    return int(number)


def _number(asked: Any, name: str) -> float | None:
    text = asked.get(name)
    try:
        return float(text) if text else None
    except ValueError as error:
        raise UsageError(f"{name}: found {text!r}, expected a number") from error


class Guard:
    """Lets through what knows the token and came to our own address; adds the headers."""

    def __init__(self, inner: App, *, token: str, port: int) -> None:
        self._inner = inner
        self._token = token
        self._hosts = {f"{name}:{port}".encode() for name in (HOST, "localhost")}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await self._inner(scope, receive, send)

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                ours = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *ours]
            await send(message)

        if scope["type"] == "http" and self._knows(scope):
            return await self._inner(scope, receive, with_headers)
        if scope["type"] == "http":
            await _nothing()(scope, receive, with_headers)

    def _knows(self, scope: MutableMapping[str, Any]) -> bool:
        headers = dict(scope["headers"])
        first = scope["path"].split("/")[1] if scope["path"].startswith("/") else ""
        same = secrets.compare_digest(first.encode(), self._token.encode())
        host = headers.get(b"host")
        origin = headers.get(b"origin")
        ours = origin is None or origin.removeprefix(b"http://") in self._hosts
        return same and host in self._hosts and ours


def serve(
    served: ServedDataset, make: Callable[[int], App], *, port: int, ready: Callable[[int], None]
) -> None:
    """Answer until interrupted. `make(port)` builds the application once the port is known; port 0
    takes a free one. `ready` hears the port. Raises UsageError where the port is taken."""
    import socket

    import uvicorn

    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"--port {port}: {error.strerror}; expected a free port, or 0 for any"
        ) from error
    port = listening.getsockname()[1]
    threading.Thread(target=_warm, args=(served,), daemon=True).start()
    config = uvicorn.Config(make(port), log_level="error", lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    ready(port)
    with listening:
        server.run(sockets=[listening])


def _warm(served: ServedDataset) -> None:
    """Read the index before anybody asks, then count states."""
    served.count_states()


def _html(text: str) -> Any:
    from starlette.responses import HTMLResponse

    return HTMLResponse(text)


def _nothing() -> Any:
    from starlette.responses import Response

    return Response(status_code=404)


async def _refused(request: Any, error: Exception) -> Any:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": str(error)}, status_code=400)
