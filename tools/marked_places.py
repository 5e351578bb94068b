"""Places in pages that a tool writes: between <!-- name --> and <!-- end of name -->."""

from __future__ import annotations

from pathlib import Path


def write_place(file: Path, name: str, text: str) -> None:
    """Replace what stands in a place. Raises ValueError where the page has none of that name."""
    begin, end = _marks(name)
    before, rest = file.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    file.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def text_in_place(file: Path, name: str) -> str:
    """What stands in a place; "" where there is none."""
    begin, end = _marks(name)
    return file.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->", f"<!-- end of {name} -->"
