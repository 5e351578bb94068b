"""`massannot demo`: the shipped weights find things by their names, and what they can is said.

What is asked of them is what many clips gave, less a margin for this being one clip of four things.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from massannot import demo
from massannot.evaluate import shipped_accuracy

pytestmark = pytest.mark.slow

MARGIN = 0.3


def measured(score: str) -> float:
    """What the shipped weights reach over the test clips."""
    (line,) = [line for line in shipped_accuracy.read().lines if line.score == score]
    return line.value.value


@pytest.mark.seen("boxes from phrases", "embedded")
@pytest.mark.seen("masks through time", "embedded")
@pytest.mark.seen("point tracks", "embedded")
@pytest.mark.seen("depth", "embedded")
@pytest.mark.seen("positions and motions", "embedded")
def test_the_demo_finds_things_by_name_and_says_how_well_that_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.run(tmp_path, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    scores = {(row["stage"], row["metric"]): row for row in said["scores"]}
    found, masks = scores["entities", "found"], scores["masks", "J"]
    assert found["value"] >= measured("things found under any name asked") - MARGIN
    assert masks["value"] >= measured("J 24 frames after the box") - MARGIN
    assert masks["value"] > masks["baseline"]
    depth = scores["depth", "abs_rel"]
    assert depth["value"] < (measured("AbsRel, all pixels") + depth["baseline"]) / 2
    assert len(said["accuracy"]["lines"]) == len(shipped_accuracy.read().lines)
