"""`massannot demo`: the shipped weights find things by their names, and what they can is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from massannot import demo
from massannot.evaluate import accuracy

pytestmark = pytest.mark.slow


def test_the_demo_finds_most_things_and_not_the_one_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.run(tmp_path, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    scores = {(row["stage"], row["metric"]): row for row in said["scores"]}
    assert scores["entities", "found"]["value"] >= 0.75
    assert scores["masks", "J"]["value"] > scores["masks", "J"]["baseline"] + 0.4
    assert scores["depth", "abs_rel"]["value"] < scores["depth", "abs_rel"]["baseline"] / 3
    assert said["found"]["phrases"][-1]["n_entities"] == 0
    assert len(said["accuracy"]["lines"]) == len(accuracy.read().lines)
