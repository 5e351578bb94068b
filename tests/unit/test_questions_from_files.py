"""Questions about films whose boxes, depth, tracks and camera come from files, uncalibrated: what
is asked, and what is shown with it, by boxes, mirrored, reversed and cut short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from massannot import exporters
from massannot.dataset.reading import open_dataset
from massannot.exporters._training import TrainingOptions
from massannot.questions.ask.ask_dataset import Asking, ask
from massannot.questions.ask.asked_about import with_its_clips
from massannot.questions.ask.audit_answers import audit
from massannot.questions.ask.derivation import derivations, some_of_a_clip
from massannot.questions.ask.questions_of_clip import INTERNAL_MARGIN
from massannot.questions.shown_video import BOX_RGB, ShownVideo
from massannot.viewers.question_page import write_question_page
from tests.files_only import HEIGHT, WIDTH, T, annotated_from_files

METRES = {"travelled_distance", "travelling_speed", "composed_first"}
FRAMES = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return annotated_from_files(tmp_path_factory.mktemp("metric") / "data", n_films=3).layout.out


@pytest.fixture(scope="module")
def marked(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A question of two families about each clip, and its twins."""
    dest = tmp_path_factory.mktemp("asked") / "asked"
    families = ("distance_comparison", "dsr_prediction:dsr_prediction_relative")
    ask(data, dest, Asking(families, mark="boxes", twins=True, even=False, per_clip=1))
    return dest


@pytest.fixture(scope="module")
def rows(marked: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By question what ms-swift is given, with its pictures as arrays."""
    folder = tmp_path_factory.mktemp("swift")
    options = TrainingOptions(frames=FRAMES, media="images")
    written = exporters.exporter("ms-swift").export(with_its_clips(marked), folder, options=options)
    assert written.left_out == ()
    found = map(json.loads, (folder / "train.jsonl").read_text().splitlines())
    by_id = {row["question_id"]: row for row in found}
    for row in by_id.values():
        row["pictures"] = [np.asarray(Image.open(folder / name), float) for name in row["images"]]
        row["shown"] = ShownVideo.of(json.loads(row["source_row"]))
    return by_id


def pairs(rows: dict[str, dict[str, Any]], kind: str) -> list[tuple[dict[str, Any], ...]]:
    found = [(rows[name.removesuffix(f"-{kind}")], rows[name]) for name in rows if kind in name]
    assert found
    return found


def _said(row: dict[str, Any]) -> str:
    return row["options"]["ABCD".index(row["solution"])] if row["options"] else row["solution"]


def test_answers_from_files_alone_give_five_families_that_are_proved(
    data: Path, tmp_path: Path
) -> None:
    relative = annotated_from_files(tmp_path / "relative", n_films=3, kind="relative").layout.out
    for out, metric in ((data, True), (relative, False)):
        dest = tmp_path / f"asked-{metric}"
        counts = ask(out, dest, Asking(per_clip=6, mark="boxes"))
        families = {name for name, n in counts.items() if n["asked"]}
        assert len(families) >= 5
        assert metric or not families & METRES
        programs = open_dataset(dest).table("question_programs").to_pylist()
        assert {row["basis"] for row in programs} == {"internal"}
        margins = [row["margin"] for row in programs if row["margin"] is not None]
        assert min(margins) >= INTERNAL_MARGIN
        assert audit(dest).findings == ()


def test_a_thing_named_by_a_box_has_it_in_every_picture(rows: dict[str, Any]) -> None:
    colours = set()
    for row in rows.values():
        for t_s, picture in zip(row["times_s"], row["pictures"], strict=True):
            height, width = picture.shape[0] / HEIGHT, picture.shape[1] / WIDTH
            for colour, boxes in row["shown"].boxes.items():
                text = [row["question"], *row["options"]]
                assert any(f"the thing in the {colour} box" in words for words in text)
                _, x0, y0, _, y1 = min(boxes, key=lambda box: abs(box[0] - t_s))
                inside = slice(round((y0 + 3) * height), round((y1 - 3) * height))
                outline = picture[inside, round(x0 * width + 0.5)]
                assert np.abs(np.median(outline, axis=0) - BOX_RGB[colour]).max() < 80
                colours.add(colour)
    assert colours == {"red", "blue"}


def test_twins_show_the_video_that_they_ask_about(rows: dict[str, Any]) -> None:
    for plain, mirrored in pairs(rows, "mirrored"):
        assert mirrored["profile"] is None
        for one, other in zip(plain["pictures"], mirrored["pictures"], strict=True):
            assert np.abs(one - other[:, ::-1]).mean() < 12  # two JPEGs of it
    for plain, reverse in pairs(rows, "reversed"):
        if plain["shown"].until_s is None:
            assert reverse["times_s"] == pytest.approx(plain["times_s"])
            for one, other in zip(plain["pictures"], reverse["pictures"][::-1], strict=True):
                assert np.abs(one - other).mean() < 12
    for plain, paraphrase in pairs(rows, "paraphrased"):
        assert _said(paraphrase) == _said(plain)
        assert paraphrase["question"] != plain["question"]
        assert paraphrase["images"] == plain["images"]


def test_a_prediction_shows_neither_frames_nor_profile_of_what_comes(rows: dict[str, Any]) -> None:
    cut = [row for row in rows.values() if row["shown"].until_s is not None]
    assert cut
    assert {row["shown"].how for row in cut} == {None, "mirrored"}  # answers are even, mirrored too
    for row in cut:
        question = json.loads(row["source_row"])
        assert max(row["times_s"]) <= row["shown"].until_s + 1e-6 < (T - 1) / 10
        assert max(row["evidence_times_s"]) <= row["shown"].until_s + 1e-6
        assert row["profile"] is None
        assert question["end_s"] - question["start_s"] == pytest.approx(row["shown"].until_s)
        assert all(box[0] <= row["shown"].until_s + 1e-6
                   for boxes in row["shown"].boxes.values() for box in boxes)  # fmt: skip
    others = [row for row in rows.values() if row["shown"].until_s is row["shown"].how is None]
    assert any(row["profile"] for row in others)


def test_one_command_draws_ten_questions_of_a_clip(data: Path, tmp_path: Path) -> None:
    ask(data, tmp_path / "asked", Asking(even=False, per_clip=1))
    found = derivations(tmp_path / "asked", some_of_a_clip(tmp_path / "asked", 10))
    assert len({one.question["clip_id"] for one in found}) == 1
    assert len({one.program["family"] for one in found}) >= 5
    assert write_question_page(tmp_path / "ten.html", found, data=data)
    page = (tmp_path / "ten.html").read_text()
    assert page.count("<img") == 30
    assert all(line.split("%")[0][:30] in page for one in found for line in one.lines)
