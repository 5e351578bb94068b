"""The little HTML the pages need: escaped text, a picture inside the page, one style sheet."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence

from PIL import Image

STYLE = """
:root { color-scheme: light dark; --paper: #fbfbfa; --ink: #1b1e24; --faint: #6a717d;
        --line: #e2e4e8; --card: #ffffff; --bad: #c0392b; --good: #1e8e5a; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14161a; --ink: #e4e6eb; --faint: #8b93a0; --line: #2b2f37; --card: #1b1e24; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 28px 22px 60px; background: var(--paper);
       color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 30px 0 10px; }
a { color: inherit; } p.sub, td.sub, .sub { color: var(--faint); margin: 0; }
.notes { border-left: 3px solid #e0a100; padding: 6px 12px; margin: 14px 0;
         background: var(--card); }
table { border-collapse: collapse; width: 100%; background: var(--card); }
th, td { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--line);
         vertical-align: top; }
th { font-weight: 600; color: var(--faint); font-size: 13px; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
img, video { max-width: 100%; border-radius: 6px; display: block; }
.bad { color: var(--bad); } pre { background: var(--card); border: 1px solid var(--line);
       border-radius: 8px; padding: 12px; overflow-x: auto;
       font: 13px/1.45 ui-monospace, monospace; }
.strip { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8px; }
"""


UNKNOWN = "<span class=sub>unknown</span>"


def text(value: object) -> str:
    """`value` escaped for HTML; null is shown as unknown."""
    return UNKNOWN if value is None else html.escape(str(value))


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page that needs nothing from outside itself."""
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are HTML already. A head that starts with '#' is a column of numbers."""
    numeric = [head.startswith("#") for head in heads]
    top = "".join(
        f"<th{' class=n' if n else ''}>{text(head.lstrip('#'))}</th>"
        for n, head in zip(numeric, heads, strict=True)
    )
    lines = [
        "<tr>"
        + "".join(
            f"<td{' class=n' if n else ''}>{cell}</td>"
            for n, cell in zip(numeric, row, strict=True)
        )
        + "</tr>"
        for row in rows
    ]
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def picture(image: Image.Image, *, alt: str, quality: int = 78) -> str:
    """The picture as a JPEG inside the page."""
    memory = io.BytesIO()
    image.convert("RGB").save(memory, "JPEG", quality=quality, optimize=True)
    data = base64.b64encode(memory.getvalue()).decode()
    return f'<img loading=lazy alt="{text(alt)}" src="data:image/jpeg;base64,{data}">'
