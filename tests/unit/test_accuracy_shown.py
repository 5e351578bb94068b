"""What is shown of the shipped weights' accuracy is what was measured, of these very weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from massannot.evaluate import shipped_accuracy
from tools import measure_accuracy

ROOT = Path(__file__).parents[2]


def test_the_stored_tables_read_back() -> None:
    stored = shipped_accuracy.FILE.read_text()
    assert shipped_accuracy.read().to_json() == stored


@pytest.mark.parametrize("name", sorted(measure_accuracy.TABLES))
def test_the_readme_shows_what_is_stored(name: str) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    stored = measure_accuracy.TABLES[name](shipped_accuracy.read())
    assert measure_accuracy.shown(text, name).strip() == stored


def test_the_readme_says_that_the_figures_are_not_about_real_video() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert shipped_accuracy.ONLY_RENDERED in measure_accuracy.shown(text, "accuracy")


def test_what_was_measured_are_the_shipped_weights() -> None:
    shipped = shipped_accuracy.shipped_weights()
    cards = {
        name: json.loads((shipped_accuracy.FILE.parent / name / "card.json").read_text())["sha256"]
        for name in shipped
    }
    assert shipped_accuracy.read().weights == shipped == cards


def test_at_least_64_clips_were_measured() -> None:
    assert {line.value.n for line in shipped_accuracy.read().lines} == {64}
