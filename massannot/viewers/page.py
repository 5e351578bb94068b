"""One page of the front end: its style, its program and its data in one file that asks nobody.

The static report and the server show the same page. Scripts and styles lie in `front/` as they are
written and are put into the page, since a browser refuses to load modules from disk. A strict
content security policy names the two by their hash: whatever else gets into the page, it is text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

FRONT = Path(__file__).parent / "front"
SCRIPTS = ("dom", "masks", "player", "overlay", "timeline", "plots", "space", "facts", "clip",
           "list", "review", "question_review", "main")  # fmt: skip
"""In the order in which they are read; each may use what the ones before declare."""
ALONE = "img-src data:; media-src data: blob:"
"""Of a page from disk: pictures and films lie inside it."""
SERVED = "img-src 'self' data:; media-src 'self'; connect-src 'self'; form-action 'none'"


def page(title: str, data: Mapping[str, Any], *, served: bool = False) -> str:
    """The whole page. `data` are JSON values; `kind` in it is `index` or `clip`."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy(served=served)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><link rel="icon" href="data:,">'
        f"<title>{html.escape(title)}</title><style>{_style()}</style></head>\n"
        f'<body><main></main>\n<script type="application/json" id="data">{inert(data)}</script>\n'
        f"<script>{_program()}</script></body></html>\n"
    )


def policy(*, served: bool) -> str:
    """The content security policy: this program, this style, nothing from elsewhere."""
    rest = SERVED if served else ALONE
    return (
        f"default-src 'none'; script-src '{_hash(_program())}'; style-src '{_hash(_style())}'; "
        f"{rest}; base-uri 'none'"
    )


def inert(data: Mapping[str, Any]) -> str:
    """JSON that no HTML parser takes for anything but text."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode("utf-8", "replace").decode()


@cache
def _program() -> str:
    return "\n".join((FRONT / f"{name}.js").read_text("utf-8") for name in SCRIPTS)


@cache
def _style() -> str:
    return (FRONT / "page.css").read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
