"""A line of mass-bench stands alone, keeps to its schema, and does not know its manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from massannot.dataset.reading import Dataset
from massannot.errors import UsageError
from massannot.exporters import _mass_bench_schema, mass_bench
from massannot.questions.profile import motion_profile
from massannot.scenes.scene_record import SceneLibrary
from massannot.viewers.summary import PROFILE_TABLES
from tests.asked_scenes import annotate, questions_about, write_world
from tests.unit.small_dataset import write_small_dataset


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SceneLibrary:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def dataset(world: SceneLibrary, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return annotate(world, tmp_path_factory.mktemp("one") / "out", [questions_about(world)])


def lines_of(folder: Path) -> dict[str, Any]:
    text = (folder / mass_bench.FILE).read_text()
    return {line["question_id"]: line for line in map(json.loads, text.splitlines())}


@pytest.fixture(scope="module")
def lines(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("export")
    mass_bench.export(dataset, folder)
    return lines_of(folder)


def test_one_manifest_or_two_give_the_same_bytes(
    world: SceneLibrary, dataset: Dataset, tmp_path: Path
) -> None:
    rows = questions_about(world)
    # each manifest has one question of every clip, in another order than before
    two = annotate(world, tmp_path / "out", [rows[::-2], rows[::2]])
    mass_bench.export(dataset, tmp_path / "a")
    mass_bench.export(two, tmp_path / "b")
    one, other = ((tmp_path / n / mass_bench.FILE).read_bytes() for n in "ab")
    assert one == other


def test_a_line_has_the_question_and_the_entities_it_asks_for(lines: dict[str, Any]) -> None:
    line = lines["one-3"]
    assert (line["question"], line["answer"], line["category"]) == (
        "Does it move?",
        "yes",
        "motion",
    )
    (clip,) = line["clips"]
    texts = {phrase["phrase"]: phrase["text"] for phrase in clip["phrases"]}
    named = {texts[entity["phrase"]] for entity in clip["entities"]}
    assert named == set(line["entities"])
    (all_of,) = lines["all-3"]["clips"]
    assert len(all_of["entities"]) > len(clip["entities"])
    assert lines["all-3"]["further"] == '{"asked by": "nobody"}'


def test_a_tracked_path_is_as_long_as_the_clip(lines: dict[str, Any]) -> None:
    (clip,) = lines["all-3"]["clips"]
    entities = {entity["entity"] for entity in clip["entities"]}
    assert {track["entity"] for track in clip["tracks"]} == entities
    for track in clip["tracks"]:
        assert len(track["xy"]["x"]) == clip["n_frames"] == 12
        assert track["xyz"] is None or len(track["xyz"]["z"]) == 12


def test_every_mask_lies_in_the_segment_of_its_frame(
    dataset: Dataset, lines: dict[str, Any]
) -> None:
    (clip,) = lines["all-3"]["clips"]
    frames = []
    for segment in clip["segments"]:
        inside = [mask["frame"] for mask in segment["masks"]]
        assert all(segment["first_frame"] <= f < segment["end_frame"] for f in inside)
        frames += inside
    assert len(frames) == dataset.clip(clip["clip_id"]).table("masks").num_rows


def test_the_profile_is_the_clips_own(dataset: Dataset, lines: dict[str, Any]) -> None:
    (clip,) = lines["all-3"]["clips"]
    view = dataset.clip(clip["clip_id"])
    names = PROFILE_TABLES
    assert clip["profile_reference"] == "world"
    for template in _mass_bench_schema.TEMPLATES:
        expected = motion_profile({n: view.table(n) for n in names}, template=template)
        assert clip["motion_profile"][template] == expected
    for name in clip["names"].values():
        assert f"Entity: {name}" in clip["motion_profile"]["mass-v1"]


def test_one_template_can_be_asked_for(dataset: Dataset, tmp_path: Path) -> None:
    options = mass_bench.MassBenchOptions(profile_template="mass-v2")
    mass_bench.export(dataset, tmp_path, options=options)
    (clip,) = lines_of(tmp_path)["all-3"]["clips"]
    assert list(clip["motion_profile"]) == ["mass-v2"]


def test_lines_keep_to_the_schema(lines: dict[str, Any]) -> None:
    schema = json.loads(_mass_bench_schema.schema_text())
    for line in lines.values():
        assert list(wrong(line, schema, "line")) == []
    (clip,) = lines["one-3"]["clips"]
    assert list(wrong({**clip, "n_frames": "12"}, schema["properties"]["clips"]["items"], "clip"))


def wrong(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    """Where a value breaks the part of JSON Schema that ours is made of."""
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
        "null": type(None),
    }
    if "const" in schema:
        return [] if value == schema["const"] else [f"{where}: {value!r}"]
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    fits = [n for n in names if isinstance(value, kinds[n])]  # type: ignore[arg-type]
    if not fits or (isinstance(value, bool) and "boolean" not in names):
        return [f"{where}: {value!r} is no {names}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of {schema['enum']}")
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        found += [f"{where}: lacks {n}" for n in schema.get("required", ()) if n not in value]
        for name, item in value.items():
            found += (
                wrong(item, known[name], f"{where}.{name}") if name in known else [where + name]
            )
    if isinstance(value, list):
        for item in value[:20]:
            if item is not None:
                found += wrong(item, schema["items"], f"{where}[]")
    return found


def test_the_stored_schema_is_the_present_one() -> None:
    stored = Path(__file__).parents[2] / "schemas" / _mass_bench_schema.SCHEMA_FILE
    assert stored.read_text(encoding="utf-8") == _mass_bench_schema.schema_text()


def test_a_dataset_without_questions_is_refused(tmp_path: Path) -> None:
    layout = write_small_dataset(tmp_path / "out")
    with pytest.raises(UsageError, match="manifest"):
        mass_bench.export(Dataset(layout), tmp_path / "export")


def test_a_newer_line_is_refused(tmp_path: Path) -> None:
    line = {"format": "mass-bench", "version": mass_bench.VERSION + 1, "clips": []}
    (tmp_path / mass_bench.FILE).write_text(json.dumps(line) + "\n")
    with pytest.raises(UsageError, match="version 2"):
        mass_bench.load(tmp_path)
