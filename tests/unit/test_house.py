"""The house stays easy to enter: names exist once, files are short, few modules lie loose."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from massannot.counts import counted

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "massannot"
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


THINGS = (
    "annotations boxes clips columns copies decisions entities events files films frames "
    "headers items lists machines masks motions phrases pictures pieces points profiles "
    "prompts questions recordings reviews rows samples scenes schemas shards shots spans "
    "strata tables things times tokens tracks videos workers"
)
PLURAL = re.compile(rf" (?:[a-z]+ed )?(?:{THINGS.replace(' ', '|')})\b(?! a second|/s)")
IN_PAGE = re.compile(rf"\$\{{[^{{}}]*\}}{PLURAL.pattern}")
INTERNAL = ("ValueError", "RuntimeError")
"""Read by programmers, about shapes."""


def bare_counts(tree: ast.AST) -> Iterator[str]:
    """What an f-string says of a number and things without `counted`: wrong where it is one."""
    for node in ast.iter_child_nodes(tree):
        raised = isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
        if raised and getattr(node.exc.func, "id", "") in INTERNAL:  # type: ignore[attr-defined]
            continue
        if isinstance(node, ast.JoinedStr):
            for number, after in pairwise(node.values):
                found = PLURAL.match(str(getattr(after, "value", "")))
                if isinstance(number, ast.FormattedValue) and found:
                    yield ast.unparse(number.value) + found.group()
        yield from bare_counts(node)


def test_who_reads_a_count_never_reads_1_clips() -> None:
    found = {
        f"{file.relative_to(PACKAGE)}: {bare}"
        for file in FILES
        for bare in bare_counts(ast.parse(file.read_text(encoding="utf-8")))
    }
    front = (PACKAGE / "viewers" / "front").glob("*.js")
    found |= {f"{js.name}: {bare[0]}" for js in front for bare in IN_PAGE.finditer(js.read_text())}
    assert found == set()


@pytest.mark.parametrize(
    ("n", "thing", "sentence"),
    [(1, "clip", "1 clip"), (0, "clip", "0 clips"), (2, "entity", "2 entities"),
     (2, "day", "2 days"), (3, "box", "3 boxes"), (2, "moving clip", "2 moving clips")],
)  # fmt: skip
def test_a_count_has_its_plural(n: int, thing: str, sentence: str) -> None:
    assert counted(n, thing) == sentence


def test_few_modules_lie_loose() -> None:
    loose = {file.stem for file in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert loose == {"clip", "counts", "demo", "doctor", "errors", "plugins", "version"}


@cache
def source_of(module: str) -> Path | None:
    """The file of one of our modules; None: there is none."""
    place = ROOT.joinpath(*module.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)


@cache
def names_of(file: Path) -> set[str]:
    """What can be imported from a file of ours."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return found


def test_tools_and_benchmarks_import_what_is_there() -> None:
    """Those that no test runs among them."""
    absent = []
    for file in {*ROOT.glob("tools/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("*/*.py")}:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or node.level:
                continue
            module = str(node.module)
            if module.split(".")[0] not in ("massannot", "tools", "tests"):
                continue
            home = source_of(module)
            names = names_of(home) if home else set()
            absent += [
                f"{file.relative_to(ROOT)}: {module}.{alias.name}"
                for alias in node.names
                if alias.name not in names
                and not source_of(f"{module}.{alias.name}")
                and not ROOT.joinpath(*module.split("."), alias.name).is_dir()
            ]
    assert absent == []
