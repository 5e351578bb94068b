"""docs/support.md is what the marks of the tests give, and a mark names what exists."""

from __future__ import annotations

from pathlib import Path

import pytest

# A test file that cannot be imported shows nothing.
pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("ray")
pytest.importorskip("obstore")

from tools import support_matrix

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_collecting_the_tests_gives() -> None:
    """Collected in this process, which has imported what they import."""
    found = support_matrix.page(support_matrix.collect())
    assert found == (ROOT / "docs" / "support.md").read_text(encoding="utf-8")


def test_a_cell_names_its_tests_or_says_that_nobody_has_seen_it() -> None:
    seen = {("depth", "oracle"): {("tests/unit/test_one_thing.py", False)}}
    row = next(line for line in support_matrix.page(seen).splitlines() if "| depth |" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")][1:]
    of = dict(zip(support_matrix.MODELS, cells, strict=True))
    assert of["oracle"] == "[one thing]"
    assert of["real weights"] == of["GPU"] == support_matrix.NOT_SEEN


def test_what_waits_for_a_gpu_is_not_seen() -> None:
    seen = {("depth", "GPU"): {("tests/gpu/test_models.py", True)}}
    assert f"| {support_matrix.NOT_SEEN}, [models] waits |" in support_matrix.page(seen)


@pytest.mark.parametrize("arguments", ["'flight', 'oracle'", "'depth', 'guesses'"])
def test_a_mark_of_something_else_is_refused(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = f"import pytest\n@pytest.mark.seen({arguments})\ndef test_it(): pass\n"
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / f"{tmp_path.name}.py").write_text(marked)  # a module is imported once
    monkeypatch.setattr(support_matrix, "ROOT", tmp_path)
    with pytest.raises(RuntimeError, match="expected a feature of"):
        support_matrix.collect()
