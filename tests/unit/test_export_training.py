"""Exports for trainers: readers find the prompt, its pictures at their times, and the answer."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from massannot import exporters
from massannot.dataset.frames_again import clips_again
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset
from massannot.errors import BadQuestion, NothingToRun, UsageError
from massannot.exporters import _row_files, trl
from massannot.exporters._training import TrainingOptions
from massannot.questions.examples import TrainingData, family_view
from massannot.questions.expected_answer import COLUMNS
from massannot.questions.question_view import Film, Shot, find_question
from massannot.questions.scene_dataset import write_scene_questions
from massannot.rft.train import train
from massannot.rft.training_recipes import recipe
from massannot.rft.training_rows import Evidence, load
from massannot.rft.trl_rewards import reward_functions
from massannot.rft.verl_rewards import compute_score
from massannot.scenes.scene_record import SceneLibrary
from tests.asked_scenes import OPTIONS, annotate, questions_about, write_world
from tests.tiny_processor import write_processor

FORMATS = ("trl", "verl", "ms-swift", "video-r1")
BOX = "<box>[24, 20, 72, 60]</box>"  # of 96x80; 84x84 for Qwen2.5-VL
ANSWERS: dict[str, dict[str, Any]] = {
    "choice": {"answer": "B", "options": ["left", "right"]},
    "number": {"answer": "1.5 m", "unit": "m", "problem_type": "number", "tolerance": 0.1},
    "box": {
        "question": f"Is it in {BOX}?",
        "answer": "no",
        "evidence_boxes": [[0, 24, 20, 72, 60]],
    },
    "bad option": {"answer": "up", "options": ["left", "right"]},
    "bad unit": {"answer": "3 furlongs", "problem_type": "number"},
    "no track": {"answer": "yes", "entities": ["a unicorn"]},
}
REFUSED = {
    "bad option": "one of A, B",
    "bad unit": "furlongs",
    "no track": "no motion of 'a unicorn'",
}
GOOD = ("box", "choice", "number")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SceneLibrary:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def dataset(world: SceneLibrary, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    first = questions_about(world)[0]
    common = {name: first[name] for name in ("video", "question", "entities", "category")}
    rows = [{**common, "id": name, **answer} for name, answer in ANSWERS.items()]
    other = {**questions_about(world)[-1], "id": "other", "answer": "yes", "split": "val"}
    return annotate(world, tmp_path_factory.mktemp("run") / "out", [[*rows, other]])


def rows_of(folder: Path, split: str = "train") -> Iterator[dict[str, Any]]:
    """As a reader of each format finds them."""
    for path in folder.glob(f"{split}.*"):
        if path.suffix == ".parquet":
            yield from pq.read_table(path).to_pylist()
        elif path.suffix == ".jsonl":
            yield from map(json.loads, path.read_text().splitlines())
        else:
            yield from json.loads(path.read_text())


def by_id(folder: Path) -> dict[str, dict[str, Any]]:
    rows = list(rows_of(folder))
    ids = [(row.get("extra_info") or row)["question_id"] for row in rows]
    return dict(sorted(zip(ids, rows, strict=True)))


def exact_frames(dataset: Dataset, frames: Sequence[int]) -> list[npt.NDArray[np.int16]]:
    """(84, 84, 3) each, of the clip that the question "choice" is about."""
    row = find_question(dataset, "choice")
    for clip in clips_again(dataset.layout, {row["clip_id"]}):
        pictures = [Image.fromarray(clip.frames.pixels_THWC[frame]) for frame in frames]
        return [np.asarray(one.resize((84, 84), 3), np.int16) for one in pictures]
    raise AssertionError("the clip is gone")


def export(dataset: Dataset, folder: Path, name: str, **options: Any) -> exporters.Exported:
    exporter = exporters.exporter(name)
    return exporter.export(dataset, folder, options=TrainingOptions(**options))


@pytest.mark.parametrize("name", FORMATS)
def test_what_cannot_be_trained_on_is_refused_by_name_and_the_rest_goes_on(
    name: str, dataset: Dataset, tmp_path: Path
) -> None:
    left_out = export(dataset, tmp_path, name).left_out
    assert len(left_out) == len(REFUSED)
    for sentence, (question_id, says) in zip(left_out, REFUSED.items(), strict=True):
        assert sentence.startswith(f"question {question_id}: ")
        assert says in sentence
    assert tuple(by_id(tmp_path)) == (*GOOD, "other")
    kept = exporters.exporter(name).load(tmp_path)["questions"]
    rows = dataset.table("questions").to_pylist()
    assert kept.to_pylist() == [row for row in rows if row["question_id"] not in REFUSED]


@pytest.mark.parametrize("name", FORMATS)
def test_a_video_that_is_gone_is_refused_by_name(
    name: str, dataset: Dataset, world: SceneLibrary, tmp_path: Path
) -> None:
    gone = Path(dataset.table("clips")["uri"][0].as_py())
    hidden = gone.with_suffix(".gone")
    gone.rename(hidden)
    try:
        left_out = export(dataset, tmp_path, name).left_out
    finally:
        hidden.rename(gone)
    assert [s for s in left_out if "cannot be read again" in s and gone.name in s]
    assert 0 < len(by_id(tmp_path)) < 4


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_says_how_many_questions_it_holds(
    name: str, dataset: Dataset, tmp_path: Path
) -> None:
    assert export(dataset, tmp_path, name, frames=2).notes[0] == (
        "questions: 4 train; 3 left out (1 bad_answer, 1 no_track, 1 unknown_unit)"
    )


@pytest.mark.parametrize("name", ["trl", "verl", "ms-swift"])
def test_images_are_the_frames_whose_times_stand_before_them(
    name: str, dataset: Dataset, tmp_path: Path
) -> None:
    export(dataset, tmp_path, name, frames=3)
    row = by_id(tmp_path)["choice"]
    images = [
        Image.open(tmp_path / one if isinstance(one, str) else io.BytesIO(one["bytes"]))
        for one in row["images"]
    ]
    for image, exact in zip(images, exact_frames(dataset, (0, 6, 11)), strict=True):
        error = np.abs(np.asarray(image, np.int16) - exact)
        assert error.mean() < 3  # JPEG
    text = str(row.get("messages") or row["prompt"])
    assert [text.count(f"{t:.2f} s:") for t in (0, 0.25, 11 / 24)] == [1, 1, 1]
    n_places = text.count("'image'") if name == "trl" else text.count("<image>")
    assert n_places == 3


@pytest.mark.parametrize("name", ["verl", "ms-swift", "video-r1"])
def test_a_film_shows_the_frames_that_were_annotated_at_their_times(
    name: str, dataset: Dataset, tmp_path: Path
) -> None:
    export(dataset, tmp_path, name, media="video", frames=5)
    row = by_id(tmp_path)["choice"]
    info = row.get("extra_info") or row
    path = row["path"] if name == "video-r1" else row["videos"][0]
    path = path["video"] if isinstance(path, dict) else path
    with av.open(str(tmp_path / path)) as film:
        frames = list(film.decode(video=0))
    assert [frame.time for frame in frames] == pytest.approx(
        np.arange(OPTIONS.n_frames) / OPTIONS.fps, abs=1e-4
    )
    assert info["fps"] == OPTIONS.fps
    assert info["frames_indices"] == [0, 4, 7, 11]  # two frames are seen as one: four, not five
    assert info["times_s"] == pytest.approx([0, 4 / 24, 7 / 24, 11 / 24])
    shown = {"nframes": 4, "resized_height": 84, "resized_width": 84}
    if name == "verl":
        assert {key: row["videos"][0][key] for key in shown} == shown
    if name == "ms-swift":
        assert row["chat_template_kwargs"] == shown
    (exact,) = exact_frames(dataset, (7,))
    error = np.abs(frames[7].to_ndarray(format="rgb24").astype(np.int16) - exact)
    assert error.mean() < 4  # H.264 halves the colour's resolution


def test_a_film_of_a_variable_rate_shows_the_nearest_frame_at_each_tick() -> None:
    span = [Shot("c", n, t) for n, t in enumerate([5.0, 5.1, 5.3, 5.8, 6.0])]
    film = Film.of(span)
    assert (film.fps, film.start_s) == (4, 5.0)
    assert film.indices == (0, 2, 2, 3, 4)
    assert [film.t_s(tick) for tick in film.ticks(4)] == [5.0, 5.25, 5.75, 6.0]


@pytest.mark.parametrize(
    ("name", "family", "text", "box"),
    [
        *(
            pytest.param(name, "qwen2_5_vl", "[21, 21, 63, 63]", [21, 21, 63, 63], id=name)
            for name in FORMATS
        ),
        pytest.param(
            "verl", "qwen3_vl", "[250, 250, 750, 750]", [250, 250, 750, 750], id="thousandths"
        ),
    ],
)
def test_boxes_are_as_the_model_family_writes_them(
    name: str, family: str, text: str, box: list[int], dataset: Dataset, tmp_path: Path
) -> None:
    export(dataset, tmp_path, name, model_family=family, frames=2)
    row = by_id(tmp_path)["box"]
    assert f"<box>{text}</box>" in str(row)
    assert (row.get("extra_info") or row)["evidence_boxes"] == [[0, *box]]


@pytest.mark.parametrize(
    ("evidence", "says"),
    [
        ({"evidence_times_s": [99.0]}, "evidence at 99 s, expected a time within"),
        ({"evidence_boxes": [0, 24, 20, 720, 60]}, "expected pixels of the video's 96x80"),
        ({"evidence_boxes": [0, 0.1, 0.2, 0.3, 0.4]}, "shares of a picture"),
    ],
    ids=["out of the film", "out of the picture", "in shares"],
)
def test_evidence_that_nobody_can_see_is_refused(
    evidence: dict[str, Any], says: str, dataset: Dataset
) -> None:
    row = {**find_question(dataset, "number"), **evidence}
    with pytest.raises(BadQuestion, match=says):
        family_view(dataset, row, TrainingData())


def test_a_prompt_that_asks_for_evidence_has_that_of_its_masks(
    dataset: Dataset, tmp_path: Path
) -> None:
    export(dataset, tmp_path, "trl", cite=True, frames=4)
    row = by_id(tmp_path)["number"]
    assert (
        "</box>at<t>seconds</t>s, with boxes in pixels of the 84x84 frame"
        in (row["prompt"][0]["content"][-1]["text"])
    )
    (time, *box), *_ = row["evidence_boxes"]
    assert time in row["times_s"]
    cited = (
        f"<think><box>{[round(x) for x in box]}</box>at<t>{time}</t>s</think><answer>1.5</answer>"
    )
    names = ("evidence_time", "evidence_box")
    columns = {name: [row[name]] for name in COLUMNS}
    near, over = (judge(["?"], [cited], **columns)[0] for judge in reward_functions(names))
    assert near > 0.99
    assert over > 0.9
    export(dataset, tmp_path / "plain", "trl", frames=4)
    assert not by_id(tmp_path / "plain")["number"]["evidence_boxes"]


def test_the_rewards_judge_what_was_exported(dataset: Dataset, tmp_path: Path) -> None:
    said = {"choice": "right", "number": "158 cm", "box": "No."}
    export(dataset, tmp_path / "trl", "trl", frames=2)
    export(dataset, tmp_path / "verl", "verl", frames=2)
    (judge,) = reward_functions(["accuracy"])
    for question_id, answer in said.items():
        completion = f"<think>so</think><answer>{answer}</answer>"
        row = by_id(tmp_path / "trl")[question_id]
        columns = {name: [value] for name, value in row.items() if name != "prompt"}
        assert judge(prompts=[row["prompt"]], completions=[completion], **columns) == [1.0]
        row = by_id(tmp_path / "verl")[question_id]
        truth = row["reward_model"]["ground_truth"]
        score = compute_score(row["data_source"], completion, truth, row["extra_info"])
        assert score == {"score": 2.0, "accuracy": 1.0, "format": 1.0}


def test_video_r1_gets_its_own_words_for_answers(dataset: Dataset, tmp_path: Path) -> None:
    export(dataset, tmp_path, "video-r1")
    rows = by_id(tmp_path)
    found = {key: (r["problem_type"], r["options"], r["solution"]) for key, r in rows.items()}
    assert found["choice"] == ("multiple choice", ["A. left", "B. right"], "<answer>B</answer>")
    assert found["number"] == ("numerical", [], "<answer>1.5</answer>")
    assert found["box"] == ("free-form", [], "<answer>no</answer>")
    assert rows["number"]["problem"].startswith("Motion Profile\n")
    assert rows["number"]["problem"].endswith("Does it move? Answer in m.")
    assert rows["number"]["profile"] + "Does it move? Answer in m." == rows["number"]["problem"]


def test_all_questions_about_a_video_are_held_out_together(
    dataset: Dataset, tmp_path: Path
) -> None:
    export(dataset, tmp_path, "ms-swift", val=0.5, frames=0)
    videos = [{row["video_id"] for row in rows_of(tmp_path, split)} for split in ("train", "val")]
    assert len(videos[0] | videos[1]) == 2
    assert not videos[0] & videos[1]


@pytest.mark.parametrize("name", FORMATS)
def test_what_an_earlier_export_held_out_does_not_stay_beside_what_is_trained_on(
    dataset: Dataset, tmp_path: Path, name: str
) -> None:
    export(dataset, tmp_path, name, split_by="split", frames=2)
    assert len(list(rows_of(tmp_path, "val"))) == 1
    export(dataset, tmp_path, name, frames=2)
    assert len(list(rows_of(tmp_path))) == 4
    assert not list(rows_of(tmp_path, "val"))
    assert exporters.exporter(name).load(tmp_path)["questions"].num_rows == 4


@pytest.mark.parametrize("split_by", ["video_id", "split"])
@pytest.mark.parametrize("name", FORMATS)
def test_what_the_manifest_calls_test_is_exported_but_not_to_train_on(
    name: str, split_by: Any, tested: Dataset, tmp_path: Path
) -> None:
    done = export(tested, tmp_path, name, split_by=split_by, frames=2)
    ids = {split: ids_of(tmp_path, split) for split in ("train", "val", "test")}
    assert ids == {"train": ["one-4", "two-4"], "val": [], "test": ["one-3", "two-3"]}
    assert done.notes[0] == "questions: 2 train, 2 test; 0 left out"
    assert done.notes[1].startswith("2 of 4 questions are in the file test and not trained on")
    assert exporters.exporter(name).load(tmp_path)["questions"].num_rows == 4


def test_a_test_question_about_a_copy_of_a_video_holds_the_video_out(
    world: SceneLibrary, tmp_path: Path
) -> None:
    """Though no clip answers it."""
    copy = world.folder / "zz-copy.mp4"
    rows = [each for each in questions_about(world) if each["id"].startswith("one-")]
    shutil.copy(world.folder / rows[0]["video"], copy)
    after = {"start_s": 100, "end_s": 101}
    rows.append({**rows[0], **after, "id": "of the copy", "video": copy.name, "split": "test"})
    copied = annotate(world, tmp_path / "out", [rows])
    assert find_question(copied, "of the copy")["clip_id"] is None
    export(copied, tmp_path / "exported", "ms-swift", frames=0)
    assert ids_of(tmp_path / "exported", "train") == [rows[1]["id"]]
    assert ids_of(tmp_path / "exported", "test") == [rows[0]["id"]]


@pytest.mark.parametrize("name", FORMATS)
def test_no_prompt_holds_its_answer(name: str, tested: Dataset, tmp_path: Path) -> None:
    """Nor what else a manifest says beside the question."""
    export(tested, tmp_path, name, frames=2)
    rows = [*rows_of(tmp_path), *rows_of(tmp_path, "test")]
    assert [SECRET in str(row) for row in rows] == [True] * 4
    for row in rows:
        prompt = row.get("prompt") or row.get("messages") or row["problem"]
        assert SECRET not in str(prompt)


SECRET = "a zebra, it seems"


def test_an_export_may_hold_nothing_to_train_on(tested: Dataset, tmp_path: Path) -> None:
    export(tested, tmp_path, "ms-swift", frames=0)
    done = export(tested, tmp_path, "ms-swift", frames=0, val=0.999999)
    assert [path.name for path in done.files] == ["val.jsonl", "test.jsonl"]
    assert "everything is held out: there is no file to train on" in done.notes
    assert not (tmp_path / "train.jsonl").exists()


def ids_of(folder: Path, split: str) -> list[str]:
    rows = rows_of(folder, split)
    return sorted((row.get("extra_info") or row)["question_id"] for row in rows)


@pytest.fixture(scope="module")
def tested(world: SceneLibrary, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Of the first video one question is test, of the second none is."""
    said = ("answer", "category", "license", "asked by")
    common = {"question": "Does it move?", **dict.fromkeys(said, SECRET)}
    common["evidence_boxes"] = [[0, 1, 2, 3, 4]]
    rows = [
        {**common, "video": each["video"], "id": each["id"].replace("all", "two")}
        for each in questions_about(world)
    ]
    next(row for row in rows if row["id"] == "two-3")["split"] = "test"
    return annotate(world, tmp_path_factory.mktemp("tested") / "out", [rows])


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_whose_every_question_is_left_out_counts_the_reasons_and_writes_nothing(
    name: str, dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(NothingToRun) as refused:
        export(dataset, tmp_path / "new", name, min_quality=1.0)
    first, *reasons = str(refused.value).splitlines()
    assert first.endswith("found 7 questions, none of which can be trained on")
    assert [line.partition(": ")[0] for line in reasons] == [
        "  1 bad_answer, as question bad option",
        "  5 no_track, as question box",
        "  1 unknown_unit, as question bad unit",
    ]
    assert not (tmp_path / "new").exists()


def test_the_manifest_may_say_what_is_held_out(dataset: Dataset, tmp_path: Path) -> None:
    export(dataset, tmp_path, "ms-swift", split_by="split", frames=0)
    assert [row["question_id"] for row in rows_of(tmp_path, "val")] == ["other"]
    assert len(list(rows_of(tmp_path))) == 3


def test_a_trainer_that_would_drop_a_row_stops_the_export_and_names_the_setting(
    dataset: Dataset, tmp_path: Path
) -> None:
    processor = write_processor(tmp_path / "processor")
    with pytest.raises(UsageError, match=r"of 4.*data\.max_prompt_length=(\d+)") as refused:
        export(dataset, tmp_path / "verl", "verl", processor=processor)
    longest = int(str(refused.value).partition("max_prompt_length=")[2].split()[0])
    assert not list((tmp_path / "verl").glob("*.parquet"))
    done = export(dataset, tmp_path / "verl", "verl", processor=processor, max_tokens=longest)
    assert done.notes[-1] == f"data.max_prompt_length={longest} or more loses no row"
    counts = [row["extra_info"]["n_prompt_tokens"] for row in rows_of(tmp_path / "verl")]
    assert max(counts) == longest
    with pytest.raises(UsageError, match=r"--max-tokens 500: 4 of 7 prompts stay longer"):
        export(dataset, tmp_path / "verl", "verl", processor=processor, max_tokens=500)


def test_questions_about_scenes_are_exported_with_their_pictures(tmp_path: Path) -> None:
    write_scene_questions(tmp_path / "asked", seeds=range(900_256, 900_262), names=("hits",))
    asked = Dataset(Layout(tmp_path / "asked"))
    for name, media in (("trl", "images"), ("ms-swift", "video")):
        written = export(asked, tmp_path / name, name, media=media, frames=2)
        assert not written.left_out
        rows = list(rows_of(tmp_path / name, "test"))  # these seeds are held out
        assert len(rows) == asked.table("questions").num_rows
    assert all((tmp_path / "ms-swift" / row["videos"][0]).is_file() for row in rows)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        pytest.param("trl", {"media": "video"}, "pixel_values_videos", id="a video for TRL"),
        pytest.param("video-r1", {"media": "images"}, "one video", id="images for Video-R1"),
        pytest.param("video-r1", {"frames": 0}, "without a video", id="blind Video-R1"),
        pytest.param("verl", {"media": "video", "frames": 1}, "at least 2", id="one frame's film"),
        pytest.param("verl", {"model_family": "llava"}, "qwen2_5_vl", id="no such family"),
        pytest.param("verl", {"val": 1.0}, "--val", id="nothing left to train on"),
        pytest.param("verl", {"max_tokens": 9}, "--processor", id="nobody counts"),
        pytest.param("verl", {"split_by": "split", "val": 0.1}, "--val", id="two splits"),
        pytest.param("verl", {"max_pixels": 99}, "3136", id="pictures too small to be seen"),
    ],
)
def test_settings_that_fit_no_question_end_the_export(
    name: str, options: dict[str, Any], says: str, dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=says):
        export(dataset, tmp_path, name, **options)


def test_datasets_opens_the_trl_export_with_its_pictures(dataset: Dataset, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    export(dataset, tmp_path, "trl", frames=2)
    loaded = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "train.parquet"), cache_dir=str(tmp_path / "cache")
    )["train"]
    row = loaded[0]
    assert [image.size for image in row["images"]] == [(84, 84)] * 2
    parts = [part["type"] for part in row["prompt"][0]["content"]]
    assert parts == ["text", "image", "text", "image", "text", "text"]
    assert [one["question_id"] for one in loaded.remove_columns("images")] == [*GOOD, "other"]


def test_an_export_is_trained_on_and_judged_by_what_it_held_out(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    export(dataset, tmp_path, "trl", split_by="split", frames=2)
    trained = load(tmp_path, evidence="frames+profile")
    judged = load(tmp_path, evidence="frames+profile", held_out=True)
    assert sorted(row["question_id"] for row in trained.rows) == list(GOOD)
    assert [row["question_id"] for row in judged.rows] == ["other"]
    kinds = [part["type"] for part in judged.rows[0]["prompt"][0]["content"]]
    assert kinds == ["text", "image", "text", "image", "text", "text"]
    assert [one.size for one in judged.pictures(judged.rows[0])] == [(84, 84)] * 2
    assert not any("images" in row for row in (*trained.rows, *judged.rows))  # in the file
    with pytest.raises(UsageError, match="the tiny model reads nothing else"):
        train("tiny", recipe("tiny"), data=tmp_path, out=tmp_path / "run", log=lambda text: None)


@pytest.mark.parametrize(
    ("evidence", "texts"),
    [
        ("frames+profile", ["0.00 s:", "Motion Profile\n", "1.00 s:"]),
        ("frames", ["0.00 s:", "1.00 s:"]),
        ("none", ["1.00 s:"]),
    ],
)
def test_evidence_is_told_from_the_question_by_its_role_and_not_by_its_words(
    evidence: Evidence, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    parts = [
        {"type": "text", "text": "0.00 s:"},
        {"type": "image", "text": None},
        {"type": "text", "text": "Motion Profile\n"},
        {"type": "text", "text": "1.00 s:"},  # the question
    ]
    prompt = [{"role": "user", "content": parts}]
    row = {"prompt": prompt, "images": [], "solution": "yes", "video_id": "v"}
    row |= {"profile": "Motion Profile\n", "question_id": "q"}
    _row_files.write_rows(tmp_path / "train.parquet", [row], tmp_path, columns=trl.COLUMNS)
    (read,) = load(tmp_path, evidence=evidence).rows
    content = read["prompt"][0]["content"]
    assert [part["text"] for part in content if part["type"] == "text"] == texts


def test_another_trainers_export_is_not_trained_on(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    export(dataset, tmp_path, "verl", frames=2)
    with pytest.raises(UsageError, match="expected what `massannot export trl` writes"):
        load(tmp_path, evidence="frames")


def test_json_rows_that_show_a_columns_type_come_first(tmp_path: Path) -> None:
    """Else `datasets` types a column by the file's first 10 MB and fails at what follows."""
    datasets = pytest.importorskip("datasets")
    filler = {"pad": "x" * 1000, "options": [], "unit": None, "boxes": []}
    telling = {"pad": "", "options": ["a"], "unit": "m", "boxes": [[0.5, 1.0]]}
    _row_files.write_lines(tmp_path / "rows.jsonl", [*[filler] * 12_000, telling], tmp_path)
    loaded = datasets.load_dataset(
        "json", data_files=str(tmp_path / "rows.jsonl"), cache_dir=str(tmp_path / "cache")
    )["train"]
    assert (loaded[0], loaded[1], loaded[2]) == (filler, telling, filler)
    assert len(loaded) == 12_001


def test_no_picture_is_left_beside_a_file_that_holds_it(dataset: Dataset, tmp_path: Path) -> None:
    export(dataset, tmp_path, "trl", frames=2)
    assert [path.name for path in tmp_path.iterdir()] == ["train.parquet"]


@pytest.mark.parametrize(
    ("n_rows", "groups"),
    [
        pytest.param(99, [99], id="one that is not full"),
        pytest.param(100, [100], id="a full one, and no empty one behind it"),
        pytest.param(101, [100, 1], id="two"),
    ],
)
def test_row_groups_are_never_empty(n_rows: int, groups: list[int], tmp_path: Path) -> None:
    rows = [{"name": str(n)} for n in range(n_rows)]
    path = tmp_path / "rows.parquet"
    _row_files.write_rows(path, rows, tmp_path, columns={"name": pa.string()})
    found = pq.ParquetFile(path).metadata
    assert [found.row_group(n).num_rows for n in range(found.num_row_groups)] == groups
    assert pq.read_table(path).to_pylist() == rows


def test_pictures_wait_in_the_folder_itself_where_it_is_there(tmp_path: Path) -> None:
    """The folder above it may be on another disk, or not to be written to."""
    there, new = tmp_path / "there", tmp_path / "new"
    there.mkdir()
    for folder, expected in ((there, there), (new, tmp_path)):
        with _row_files.temporary_pictures(folder) as pictures:
            assert pictures.parent == expected
        assert not pictures.exists()
    assert not new.exists()
