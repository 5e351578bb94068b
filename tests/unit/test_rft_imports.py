"""The trainer stands alone: it costs nothing to import and never reaches the annotator."""

from __future__ import annotations

import importlib
import multiprocessing
import subprocess
import sys
from pathlib import Path

import massannot.rft

FOLDER = Path(massannot.rft.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(FOLDER.parents[1]).with_suffix("").parts)
    for path in FOLDER.rglob("*.py")
    if path.stem != "__init__"
)
ON_THE_STANDARD_LIBRARY = (
    "massannot.questions.answers",
    "massannot.questions.expected_answer",
    "massannot.questions.prompts",
    "massannot.questions.units",
    "massannot.rft.rewards",
    "massannot.rft.tgrpo",
    "massannot.rft.trl_rewards",
    "massannot.rft.verl_rewards",
)


def modules_after(*names: str) -> set[str]:
    """What a fresh interpreter holds after it imported these."""
    code = f"import sys, {', '.join(names)}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_trainers_package_imports_nothing_else() -> None:
    found = {name for name in modules_after("massannot.rft") if name.startswith("massannot")}
    assert found == {"massannot", "massannot.version", "massannot.rft"}


def ours_after(names: list[str]) -> set[str]:
    """Modules of ours that a process holds after it forgot all of them and imported these."""
    for name in ours():
        del sys.modules[name]
    for name in names:
        importlib.import_module(name)
    return ours()


def ours() -> set[str]:
    return {name for name in sys.modules if name.partition(".")[0] == "massannot"}


def test_no_file_of_the_trainer_reaches_the_annotator() -> None:
    """Nor does anything that it imports. A fork has the libraries of others already."""
    assert len(MODULES) > 10
    annotator = tuple(f"massannot.{layer}" for layer in ("models", "stages", "engine"))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply(ours_after, [MODULES])
    assert {*MODULES} <= found
    assert not {name for name in found if name.startswith(annotator)}


def test_rewards_and_adapters_need_the_standard_library_only() -> None:
    """So that they can be imported beside verl or vLLM, whatever those pin."""
    found = {name.partition(".")[0] for name in modules_after(*ON_THE_STANDARD_LIBRARY)}
    before = {name.partition(".")[0] for name in modules_after("os")}
    assert found - before - sys.stdlib_module_names == {"massannot"}
