"""The house stays easy to enter: names exist once, files are short, few modules lie loose."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "massannot"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 420


def classes() -> Iterator[tuple[str, str]]:
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield node.name, str(file.relative_to(PACKAGE))


def modules() -> Iterator[tuple[str, str]]:
    """Files of commands in cli/ bear the names of the commands."""
    for file in FILES:
        if file.parent.name != "cli" and file.stem != "__init__":
            yield file.stem, str(file.relative_to(PACKAGE))


@pytest.mark.parametrize("things", [classes, modules])
def test_a_name_exists_once(things) -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for name, home in things():
        homes[name].append(home)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    lines = {f.name: len(f.read_text(encoding="utf-8").splitlines()) for f in FILES}
    assert {name: n for name, n in lines.items() if n > LONGEST} == {}


def test_few_modules_lie_loose() -> None:
    loose = {file.stem for file in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert loose == {"clip", "demo", "doctor", "errors", "plugins", "version"}
