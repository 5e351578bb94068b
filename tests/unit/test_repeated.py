"""A note answers a repeated command, and nothing else: whatever may change the outcome is seen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from massannot.jobs import repeated
from massannot.jobs.repeated import Command, Outcome, states_of

WORDS = "annotate films/ -p ball"
OUTCOME = Outcome(0, "1 clip", {"exit_code": 0})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two films, an answer, a user's file and an output folder; the working one."""
    for name in ("films/a.mp4", "films/deep/b.mp4", "boxes.json", "mine.py", "out/data/t.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "out" / "_run").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spec(*sources: str) -> dict[str, object]:
    """Its `folder` holds the output, which changes; that is no input."""
    models = {"detect": {"kind": "file", "name": "boxes.json"}}
    models |= {"masks": {"kind": "model", "name": "mine.py:Masks"}}
    return {"sources": sources, "folder": os.getcwd(), "recipe": "later", "models": models}


def keep(*sources: str, out: str = "out") -> Command:
    command = Command(Path(out), WORDS)
    inputs = states_of(spec(*(sources or ("films",))), code=())
    command.keep(OUTCOME, inputs, command.out_state())
    return command


def test_the_same_command_with_the_same_files_has_the_outcome_it_had(place: Path) -> None:
    assert keep().earlier_outcome() == OUTCOME
    assert Command(Path("out"), WORDS).earlier_outcome() == OUTCOME


CHANGES: list[tuple[str, Callable[[Path], object]]] = [
    ("a film more", lambda p: (p / "films/deep/c.mp4").write_text("c")),
    ("a film gone", lambda p: (p / "films/a.mp4").unlink()),
    ("other boxes of the same size", lambda p: (p / "boxes.json").write_text("BOXES.json")),
    ("the user's code", lambda p: (p / "mine.py").write_text("pass")),
    ("a recipe of that name", lambda p: (p / "later").write_text("")),
    ("a table gone", lambda p: (p / "out/data/t.parquet").unlink()),
    ("a film drawn", lambda p: (p / "out/films").mkdir() or (p / "out/films/a.mp4").write_text("")),
    ("a damaged note", lambda p: (p / "out/_run/outcome.json").write_text("{]")),
    ("a note of lists", lambda p: (p / "out/_run/outcome.json").write_text("[]")),
]


@pytest.mark.parametrize(("_change", "make"), CHANGES, ids=[name for name, _ in CHANGES])
def test_a_change_is_seen(place: Path, _change: str, make: Callable[[Path], object]) -> None:
    command = keep()
    make(place)
    assert command.earlier_outcome() is None


def test_an_old_time_does_not_hide_other_bytes(place: Path) -> None:
    command, film = keep(), place / "films/a.mp4"
    before = film.stat()
    film.write_text("FILMS/a.mp4")
    os.utime(film, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert command.earlier_outcome() is None


def test_other_words_another_folder_and_other_settings_are_another_command(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = keep()
    assert Command(Path("out"), WORDS + " --fps 5").earlier_outcome() is None
    monkeypatch.setenv("MASSANNOT_WORK_DIR", "elsewhere")
    assert command.earlier_outcome() is None
    monkeypatch.undo()
    monkeypatch.chdir(place / "films")
    assert Command(Path("../out"), WORDS).earlier_outcome() is None


@pytest.mark.parametrize("source", ["@list.txt", "films/*.mp4", "s3://bucket/films", "-"])
def test_what_cannot_be_looked_at_again_leaves_no_note(place: Path, source: str) -> None:
    assert keep(source).earlier_outcome() is None
    assert not (place / "out/_run/outcome.json").exists()


def test_a_folder_of_very_many_files_leaves_no_note(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeated, "MOST_FILES", 1)
    assert keep().earlier_outcome() is None


def test_an_output_in_a_bucket_has_no_note() -> None:
    assert Command(Path("s3://bucket/out"), WORDS).note is None


def test_a_note_holds_no_secret(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    keep()
    assert "hf_secret" not in (place / "out/_run/outcome.json").read_text()
