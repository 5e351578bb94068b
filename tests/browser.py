"""A real headless Chromium, driven over its DevTools protocol; tests skip where there is none."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 20.0


def chromium() -> str | None:
    """The browser's program: of $CHROMIUM, or on the path."""
    own = os.environ.get("CHROMIUM")
    return own or next((found for name in NAMES if (found := shutil.which(name))), None)


class Tab:
    """One page. `errors` are its uncaught errors and what its security policy refused."""

    def __init__(self, address: str) -> None:
        from websockets.sync.client import connect

        self._open = contextlib.ExitStack()
        self._socket = self._open.enter_context(
            connect(address, max_size=None, open_timeout=PATIENCE_S)
        )
        self._number = 0
        self.errors: list[str] = []
        self.dialogs = 0
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **arguments: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": arguments}
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE_S))
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._hear(answer)

    def _hear(self, event: dict[str, Any]) -> None:
        kind, found = event.get("method"), event.get("params", {})
        if kind == "Runtime.exceptionThrown":
            details = found["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", str(details)))
        elif kind == "Log.entryAdded" and found["entry"]["source"] == "security":
            self.errors.append(found["entry"]["text"])
        elif kind == "Page.javascriptDialogOpening":
            self.dialogs += 1
            closing = {"method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
            self._socket.send(json.dumps({"id": 10**6 + self.dialogs, **closing}))

    def open(self, address: str) -> None:
        """Load an address and wait until its page is ready."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.until("document.body && document.body.dataset.ready === 'true'")

    def js(self, expression: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)  # fmt: skip
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, expression: str, patience_s: float = PATIENCE_S) -> Any:
        """Wait until an expression is true."""
        give_up = time.monotonic() + patience_s
        while time.monotonic() < give_up:
            try:
                if value := self.js(expression):
                    return value
            except RuntimeError:
                pass  # the page is just being replaced
            time.sleep(0.03)
        raise AssertionError(f"not within {patience_s} s: {expression}; errors: {self.errors}")

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def key(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            more = text if kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, **more)

    def click(self, selector: str) -> None:
        """Press the middle of an element with the mouse."""
        self.drag(selector, [(0.5, 0.5)])

    def drag(self, selector: str, shares: list[tuple[float, float]]) -> None:
        """Press the mouse at the first of some places of an element, as shares of its size, and let
        it go at the last."""
        left, top, width, height = self.js(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect(); "
            "return [b.left, b.top, b.width, b.height]; })()"
        )
        places = [(left + x * width, top + y * height) for x, y in shares]
        steps = [("mouseMoved", places[0], 0), ("mousePressed", places[0], 1)]
        steps += [("mouseMoved", place, 1) for place in places[1:]]
        steps += [("mouseReleased", places[-1], 0)]
        for kind, (x, y), buttons in steps:
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left",
                      buttons=buttons, clickCount=1)  # fmt: skip

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End the page too: a film that plays on would take a core from the tests that follow."""
        with contextlib.suppress(Exception):
            self.call("Page.close")
        self._open.close()


class Browser:
    def __init__(self, port: int) -> None:
        self._port = port

    def tab(self) -> Tab:
        made = _ask(self._port, "json/new?about:blank", method="PUT")
        return Tab(made["webSocketDebuggerUrl"])


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A running browser with an empty profile; pytest.skip where there is none."""
    program = chromium()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    pytest.importorskip("websockets", reason="drives the browser")
    profile = tempfile.mkdtemp(prefix="massannot-browser-")
    arguments = ["--headless=new", "--no-sandbox", "--remote-debugging-port=0", "--disable-gpu",
                 "--no-first-run", "--disable-dev-shm-usage", "--mute-audio",
                 "--autoplay-policy=no-user-gesture-required",
                 f"--user-data-dir={profile}", "about:blank"]  # fmt: skip
    process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        file = Path(profile, "DevToolsActivePort")
        _wait(lambda: file.is_file() and "\n" in file.read_text(), "the browser's port")
        yield Browser(int(file.read_text().split("\n")[0]))
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(profile, ignore_errors=True)


def _ask(port: int, path: str, *, method: str = "GET") -> Any:
    import urllib.request

    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return json.load(answer)


def _wait(true: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > give_up:
            raise AssertionError(f"{what}: not there within {PATIENCE_S} s")
        time.sleep(0.02)
