"""The page of what was seen with which models, from the marks of the tests themselves.

    python -m tools.support_matrix > docs/support.md

A test that shows a feature at work says so: `@pytest.mark.seen("masks", "embedded")`. Tests are
collected, not run; a mark is true because the test passes wherever it runs. What needs a GPU has
not run anywhere yet and counts as not seen.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ON_THE_WEB = "https://github.com/massannot/massannot/blob/main"
NOT_SEEN = "not seen"

MODELS = {
    "engine alone": "a recipe without models, made for the engine's tests",
    "oracle": "the truth of a rendered scene answers in place of a model",
    "embedded": "the tiny models shipped in the package, on rendered scenes",
    "files on a real clip": "boxes, masks and depth from files, on camera footage; tracked by "
    "Lucas-Kanade",
    "random weights": "the official architectures, small, with random weights, on camera footage: "
    "shapes, limits and tables, never quality",
    "real weights": "the official weights",
    "GPU": "tests for CUDA exist and have not run anywhere yet",
}
FEATURES = (
    "boxes from phrases",
    "masks through time",
    "who is who",
    "point tracks",
    "depth",
    "positions and motions",
    "events",
    "moving camera",
    "shots",
    "films and report",
    "questions",
    "exports",
    "training",
    "points and geometry tokens",
    "equal bytes again",
    "plan and run",
    "reuse of another run",
    "corrections run again",
    "phrases added to a finished dataset",
    "tables added to a finished dataset",
    "killed and continued",
    "Ray",
    "buckets",
    "publish",
    "byte copies",
    "installed from the wheel",
)

Seen = Mapping[tuple[str, str], set[tuple[str, bool]]]
"""By feature and models: (the test's file, whether it needs a GPU)."""


class Collector:
    """A pytest plugin that keeps what the tests say they show."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], set[tuple[str, bool]]] = defaultdict(set)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            file = item.path.relative_to(ROOT).as_posix()
            needs_gpu = item.get_closest_marker("gpu") is not None
            for mark in item.iter_markers("seen"):
                feature, models = mark.args
                if feature not in FEATURES or models not in MODELS:
                    raise pytest.UsageError(
                        f"{item.nodeid}: found seen{mark.args}, expected a feature of {FEATURES} "
                        f"and models of {tuple(MODELS)}"
                    )
                self.seen[feature, models].add((file, needs_gpu))


def collect() -> Seen:
    """Raises RuntimeError when a test cannot be collected."""
    files = [path for path in sorted(ROOT.glob("tests/**/test_*.py")) if _has_mark(path)]
    collector, said = Collector(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        arguments = ["--collect-only", "-q", "-m", "", "-p", "no:cacheprovider"]
        code = pytest.main([*arguments, *map(str, files)], plugins=[collector])
    if code != pytest.ExitCode.OK:
        raise RuntimeError(said.getvalue())
    return collector.seen


def page(seen: Seen) -> str:
    """Markdown: the matrix, and what its columns mean."""
    about = (
        "Written by `python -m tools.support_matrix` from marks of the tests: a cell names the "
        f'files of the tests that show it. "{NOT_SEEN}" means that no test shows it, not that it '
        "fails. Tests on camera footage need clips that are not part of the repository, and are "
        "left out where those are not there."
    )
    lines = ["# What was seen, and with which models", "", about, ""]
    lines += [f"| | {' | '.join(MODELS)} |", f"|---|{'---|' * len(MODELS)}"]
    for feature in FEATURES:
        cells = [_cell(seen.get((feature, models), set())) for models in MODELS]
        lines.append(f"| {feature} | {' | '.join(cells)} |")
    lines += ["", *(f"* **{models}**: {meaning}." for models, meaning in MODELS.items()), ""]
    files = sorted({file for tests in seen.values() for file, _ in tests})
    lines += [f"[{_name(file)}]: {ON_THE_WEB}/{file}" for file in files]
    return "\n".join(lines) + "\n"


def _cell(tests: set[tuple[str, bool]]) -> str:
    seen = [f"[{_name(file)}]" for file, needs_gpu in sorted(tests) if not needs_gpu]
    waiting = [f"[{_name(file)}] waits" for file, needs_gpu in sorted(tests) if needs_gpu]
    return ", ".join(seen or [NOT_SEEN, *waiting])


def _name(file: str) -> str:
    return Path(file).stem.removeprefix("test_").replace("_", " ")


def _has_mark(path: Path) -> bool:
    return "mark.seen(" in path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.stdout.write(page(collect()))
