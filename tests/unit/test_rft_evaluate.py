"""What `rft eval` is asked to compare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from massannot.errors import UsageError
from massannot.rft.evaluate import answers


def test_two_runs_with_the_same_evidence_are_not_scored_as_one(tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("one", "other")]
    for run in runs:
        run.mkdir()
        (run / "run.json").write_text(json.dumps({"recipe": "tiny", "evidence": "frames"}))
    with pytest.raises(UsageError, match=r"other: found the evidence 'frames', as in .*one"):
        answers(runs, data=tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"found no run\.json"):
        answers([tmp_path], data=tmp_path)
