"""A question of a dataset: its frames, its profile, and what is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from massannot import exporters
from massannot.dataset.reading import Dataset
from massannot.errors import BadQuestion, UsageError
from massannot.exporters._training import TrainingOptions
from massannot.questions.answers import kind_of
from massannot.questions.examples import TrainingData, family_view
from massannot.questions.profile_blocks import joined, profile_blocks
from massannot.questions.prompts import build_prompt
from massannot.questions.question_view import evenly, expected_answer, find_question, question_view
from massannot.questions.units import UnknownUnit
from tests.asked_scenes import OPTIONS, annotate, questions_about, write_world

N_FRAMES = OPTIONS.n_frames


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    world = write_world(tmp_path_factory.mktemp("world"))
    rows = questions_about(world)
    rows[0] |= {"question": "Does it move from 0.1 to 0.3 s?", "evidence_boxes": [0, 1, 2, 3, 4]}
    return annotate(world, tmp_path_factory.mktemp("run") / "out", [rows])


def test_a_question_has_the_frames_and_times_of_its_clip(dataset: Dataset) -> None:
    about = question_view(dataset, find_question(dataset, "one-4"), template="mass-v2")
    assert [shot.t_s for shot in about.shots] == pytest.approx(np.arange(N_FRAMES) / OPTIONS.fps)
    assert {shot.clip_id for shot in about.shots} == {about.row["clip_id"]}
    assert [place for place, _ in about.frames(4)] == [0, 4, 7, 11]
    assert about.source_size == (OPTIONS.width, OPTIONS.height)
    assert about.question.frames is None


def test_a_question_over_two_clips_has_the_frames_and_the_profile_of_both(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    world = write_world(tmp_path_factory.mktemp("world"))
    out = tmp_path_factory.mktemp("run") / "out"
    cut = annotate(world, out, [questions_about(world)[:1]], max_frames=8)
    about = question_view(cut, find_question(cut, "one-3"), template="mass-v2")
    assert len(about.row["clip_ids"]) == 2
    assert [shot.frame for shot in about.shots] == [*range(8), *range(4)]
    assert [shot.t_s for shot in about.shots] == pytest.approx(np.arange(N_FRAMES) / OPTIONS.fps)
    assert about.profile is not None
    blocks = profile_blocks(about.profile)
    assert [(each.first_frame, each.last_frame) for each in blocks.segments] == [(0, 7), (8, 11)]
    export = exporters.exporter("verl").export(
        cut, out.parent / "verl", options=TrainingOptions(media="video", frames=12)
    )
    assert export.left_out == ()
    (film,) = (out.parent / "verl" / "videos").iterdir()
    with av.open(str(film)) as container:
        assert len(list(container.decode(video=0))) == N_FRAMES


def test_the_frame_of_reference_is_chosen_and_recorded(dataset: Dataset, tmp_path: Path) -> None:
    row = find_question(dataset, "one-4")
    for choice, used in (("auto", "world"), ("world", "world"), ("camera", "camera")):
        about = question_view(dataset, row, template="mass-v2", reference=choice)  # type: ignore[arg-type]
        assert about.reference == used
        assert f"  Frame of reference: the {used}" in (about.profile or "")
    assert question_view(dataset, row, template=None).reference is None
    export = exporters.exporter("ms-swift").export
    export(dataset, tmp_path, options=TrainingOptions(reference="camera", frames=0))
    lines = (tmp_path / "train.jsonl").read_text().splitlines()
    assert {json.loads(line)["reference"] for line in lines} == {"camera"}
    with pytest.raises(UsageError, match="--reference: found 'moon', expected auto, world"):
        TrainingOptions(reference="moon")  # type: ignore[arg-type]


def test_a_span_named_in_the_question_is_what_it_asks_about(dataset: Dataset) -> None:
    about = question_view(dataset, find_question(dataset, "one-3"), template="mass-v2")
    assert about.question.frames == (3, 7)  # 24 frames a second: 0.125 s to 0.292 s


def test_the_profile_holds_what_the_question_asks_for(dataset: Dataset) -> None:
    one, both = (
        question_view(dataset, find_question(dataset, f"{name}-3"), template="mass-v1")
        for name in ("one", "all")
    )
    assert one.profile is not None
    assert both.profile is not None
    assert profile_blocks(one.profile).entities == one.question.entities
    assert profile_blocks(both.profile).entities == both.question.entities
    assert len(both.question.entities) == 2
    assert question_view(dataset, one.row, template=None).profile is None


def test_entities_are_the_rows_own_where_the_phrases_came_from_elsewhere(dataset: Dataset) -> None:
    row = {**find_question(dataset, "all-3"), "question_id": "nobody's phrases"}
    assert question_view(dataset, row, template=None).question.entities == tuple(row["entities"])


def test_a_question_that_names_nothing_has_a_profile_of_nothing(dataset: Dataset) -> None:
    row = {**find_question(dataset, "one-3"), "question_id": "asks for nothing", "entities": []}
    about = question_view(dataset, row, template="mass-v1")
    assert about.profile is not None
    assert profile_blocks(about.profile).entities == ()


def test_a_box_is_shown_as_it_is_exported(dataset: Dataset) -> None:
    row = find_question(dataset, "one-3")
    box = "Is it in <box>[24, 20, 72, 60]</box>?"  # of 96x80; 84x84 for Qwen2.5-VL
    for family, written in (
        ("qwen2_5_vl", "[21, 21, 63, 63]"),
        ("qwen3_vl", "[250, 250, 750, 750]"),
    ):
        about = family_view(dataset, {**row, "question": box}, TrainingData(model_family=family))
        assert about.question.text == f"Is it in <box>{written}</box>?"


def test_an_entity_without_a_track_is_refused_by_name(dataset: Dataset) -> None:
    row = find_question(dataset, "one-3")
    about = question_view(dataset, row, template="mass-v1", min_quality=1.0)
    with pytest.raises(BadQuestion, match=r"one-3: found no motion of"):
        build_prompt(about.question, profile=about.profile)


REFUSED = [
    pytest.param({"question": None}, "found no text", id="nothing asked"),
    pytest.param({"clip_ids": None, "clip_id": None}, "no clip", id="a clip that failed"),
    pytest.param({"answer": "maybe", "problem_type": "yes_no"}, "yes or no", id="another kind"),
    pytest.param(
        {"answer": "blue", "options": ["red", "green"]}, "one of A, B", id="not among its options"
    ),
    pytest.param({"answer": "3 furlongs", "problem_type": "number"}, "furlongs", id="no such unit"),
    pytest.param({"answer": "3", "unit": "cubit"}, "cubit", id="nor this one"),
    pytest.param({"problem_type": "guess"}, "problem_type", id="no such kind"),
]


@pytest.mark.parametrize(("changes", "says"), REFUSED)
def test_a_bad_question_is_refused_by_name(
    dataset: Dataset, changes: dict[str, Any], says: str
) -> None:
    row = {**find_question(dataset, "one-3"), **changes}
    with pytest.raises(BadQuestion, match=rf"question one-3: .*{says}"):
        question_view(dataset, row, template=None)


def test_a_question_without_an_answer_may_be_asked_but_not_trained_on(dataset: Dataset) -> None:
    row = {**find_question(dataset, "one-3"), "answer": None}
    assert question_view(dataset, row, template=None).question.problem_type == "text"
    with pytest.raises(BadQuestion, match="one-3: found no answer"):
        expected_answer(row)


def test_an_id_that_is_not_there_is_refused_with_those_that_are(dataset: Dataset) -> None:
    with pytest.raises(UsageError, match=r"'nope'.*one-3"):
        find_question(dataset, "nope")


@pytest.mark.parametrize(
    ("answer", "said", "tolerance"),
    [
        pytest.param("4", {}, 0.0, id="a count: three balls are not four"),
        pytest.param("4", {"problem_type": "numerical"}, 0.0, id="a count, as Video-R1 says"),
        pytest.param("4", {"tolerance": 0.5}, 0.5, id="a count that may miss"),
        pytest.param("4", {"unit": "m"}, 0.25, id="metres"),
        pytest.param("4.0", {}, 0.25, id="a measured number"),
    ],
)
def test_a_count_is_exact_and_a_measure_is_not(
    answer: str, said: dict[str, Any], tolerance: float
) -> None:
    row = {"question_id": "q", "answer": answer, **said}
    assert expected_answer(row).tolerance == tolerance


def test_evidence_is_read_back_box_by_box(dataset: Dataset) -> None:
    assert expected_answer(find_question(dataset, "one-3")).evidence_boxes == ((0, (1, 2, 3, 4)),)


@pytest.mark.parametrize("n_there", [1, 2, 7, 12, 256])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 8, 16])
def test_frames_are_chosen_as_linspace_does(n_there: int, n: int) -> None:
    expected = np.linspace(0, n_there - 1, n).round().astype(int)
    assert evenly(n_there, n) == (list(range(n_there)) if n >= n_there else expected.tolist())


PROFILE = "Motion Profile\n  Units: metres\n  Time: {}\n  Video Segment 1: Frame 0...{}\n{}"
LINE = "    * Entity: ball\n    * Motion: up\n"


def test_clips_that_follow_one_another_have_one_profile() -> None:
    times = ("0.00 s to 1.00 s of the video, 10 frames", "1.00 s to 2.00 s of the video, 5 frames")
    profiles = [PROFILE.format(times[0], 9, LINE), PROFILE.format(times[1], 4, "")]
    blocks = [profile_blocks(text) for text in profiles]
    assert joined(blocks, lengths=[10, 5]).text == (
        "Motion Profile\n  Units: metres\n  Time: 0.00 s to 2.00 s of the video, 15 frames\n"
        f"  Video Segment 1: Frame 0...9\n{LINE}  Video Segment 2: Frame 10...14\n"
    )
    shots = joined([*blocks, blocks[1]], lengths=[10, 5, 5], shots=[3, 5, 3]).text
    titles = [line.strip() for line in shots.splitlines() if "Segment" in line]
    assert titles == [
        "Video Segment 1: Frame 0...9, Shot 1",
        "Video Segment 2: Frame 10...14, Shot 2",
        "Video Segment 3: Frame 15...19, Shot 1",
    ]
    assert profile_blocks(shots).text == shots
    assert "Shot" not in joined(blocks, lengths=[10, 5], shots=[2, 2]).text
    blocks[1] = profile_blocks(profiles[1].replace("metres", "relative"))
    with pytest.raises(BadQuestion, match="expected one unit"):
        joined(blocks, lengths=[10, 5])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param("Yes.", ("yes_no", None), id="yes"),
        pytest.param("No, it falls", ("yes_no", None), id="no, and why"),
        pytest.param("Yesterday", ("text", None), id="a word that begins so"),
        pytest.param("3", ("number", None), id="a count"),
        pytest.param("-2.5 m/s", ("number", "m/s"), id="a number and its unit"),
        pytest.param("3 metres", ("number", "m"), id="a unit as a word"),
        pytest.param("3 balls", ("text", None), id="a number of things"),
        pytest.param("3 o'clock", ("clock", None), id="a direction"),
        pytest.param("3.5 to 4.5 s", ("interval", None), id="an interval"),
        pytest.param("3.5, 4.5", ("text", None), id="two numbers of what?"),
        pytest.param("Three", ("text", None), id="a number in letters"),
        pytest.param("", ("text", None), id="nothing"),
    ],
)
def test_the_kind_of_an_answer_is_read_off_its_text(
    answer: str, expected: tuple[str, str | None]
) -> None:
    assert kind_of(answer) == expected
    assert kind_of(answer, options=["a", "b"]) == ("multiple_choice", None)
    assert kind_of(answer, asked_unit="cm") == ("number", "cm")


@pytest.mark.parametrize(
    ("answer", "asked_unit", "expected"),
    [
        pytest.param("3.5 to 4.5", "s", "interval", id="two times"),
        pytest.param("[3.5, 4.5]", "s", "interval", id="two times in brackets"),
        pytest.param("0.1-0.2 min", "min", "interval", id="two times in minutes"),
        pytest.param("3.5", "s", "number", id="one time"),
        pytest.param("1,234", "s", "number", id="one time in thousands"),
        pytest.param("1,5", "s", "number", id="one or two"),
        pytest.param("3 to 4", "m", "number", id="two lengths"),
        pytest.param("3 to 4", "cubit", "number", id="two of what?"),
    ],
)
def test_where_times_are_asked_for_two_are_an_interval(
    answer: str, asked_unit: str, expected: str
) -> None:
    assert kind_of(answer, asked_unit=asked_unit) == (expected, asked_unit)


@pytest.mark.parametrize(
    ("question", "answer", "kind"),
    [
        pytest.param(
            "How far does it roll?", "3 furlongs", None, id="a measure in no unit of ours"
        ),
        pytest.param("What is its average speed?", "3 knots", None, id="a speed"),
        pytest.param("How far does it roll?", "3 m", "number", id="a unit"),
        pytest.param("How far does it roll?", "3 balls wide or so", "text", id="more than a word"),
        pytest.param("How many balls roll?", "3 balls", "text", id="things that are counted"),
        pytest.param("What is seen?", "3 balls", "text", id="no measure asked for"),
    ],
)
def test_a_measure_in_an_unknown_unit_does_not_pass_for_free_text(
    question: str, answer: str, kind: str | None
) -> None:
    row = {"question_id": "q", "question": question, "answer": answer}
    if kind is None:
        with pytest.raises(UnknownUnit, match=r"question q: .*or say problem_type text"):
            expected_answer(row)
    else:
        assert expected_answer(row).problem_type == kind
