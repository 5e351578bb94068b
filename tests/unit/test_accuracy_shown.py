"""What is shown of the shipped weights' accuracy is what was measured, of these very weights."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from massannot.evaluate import shipped_accuracy
from massannot.recipes.model_flags import ModelFlags
from tools import measure_accuracy
from tools.embedded.ruler import REPLACED, STAGE_OF


def test_the_stored_tables_read_back() -> None:
    stored = shipped_accuracy.FILE.read_text()
    assert shipped_accuracy.read().to_json() == stored


@pytest.mark.parametrize("name", sorted(measure_accuracy.PLACES))
def test_every_page_shows_what_is_stored(name: str) -> None:
    stored = measure_accuracy.PLACES[name].table(shipped_accuracy.read())
    assert measure_accuracy.shown(name).strip() == stored


@pytest.mark.parametrize("name", ["accuracy", "four numbers"])
def test_the_page_says_that_the_figures_are_not_about_real_video(name: str) -> None:
    assert shipped_accuracy.ONLY_RENDERED in measure_accuracy.shown(name)


def test_readme_shows_four_numbers_beside_those_of_no_skill() -> None:
    rows = [line for line in measure_accuracy.shown("four numbers").splitlines() if "**" in line]
    assert len(rows) == len(measure_accuracy.HEADLINES) == 4


def test_what_was_measured_are_the_shipped_weights() -> None:
    shipped = shipped_accuracy.shipped_weights()
    cards = {
        name: json.loads((shipped_accuracy.FILE.parent / name / "card.json").read_text())["sha256"]
        for name in shipped
    }
    assert shipped_accuracy.read().weights == shipped == cards


def test_at_least_64_clips_were_measured() -> None:
    assert {line.value.n for line in shipped_accuracy.read().lines} == {64}


@pytest.mark.parametrize("name", sorted(REPLACED))
def test_the_truth_can_do_each_job_that_the_ruler_gives_it(name: str) -> None:
    flags = ModelFlags(profile="none", scenes="scenes", oracles=REPLACED[name])
    assert set(flags.oracles) <= set(STAGE_OF)
