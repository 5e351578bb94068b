"""What `rft train` refuses before it trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from massannot.errors import OtherRecipe
from massannot.rft.recipes import recipe
from massannot.rft.train import train


def test_the_folder_of_another_run_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    said = json.dumps({"recipe": "tiny", "evidence": "frames", "seed": 0, "model": None})
    (tmp_path / "run.json").write_text(said)
    with pytest.raises(OtherRecipe, match=r"evidence 'frames', expected 'frames\+profile'"):
        train("tiny", recipe("tiny"), data=tmp_path / "asked", out=tmp_path)
    assert (tmp_path / "run.json").read_text() == said
