"""What people put right is taken as given when its clip is done again, and nothing else changes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from massannot.dataset import commits
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset, open_dataset
from massannot.dataset.reviews_of_run import ReviewFile, hash_of_rows
from massannot.dataset.validate import problems
from massannot.errors import UsageError
from massannot.exporters import coco, csv, cvat
from massannot.geometry import rle
from massannot.jobs.run import RunOptions, retry
from tests.end_to_end.conftest import HERE, small_run
from tests.in_process import run_massannot

OF_THINGS = ("entities", "looks", "masks", "tracks_xy", "tracks_xyz", "positions", "motions")
OF_CLIP = ("clips", "frames", "segments", "cameras")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips, in one shard."""
    return small_run(tmp_path_factory.mktemp("found"))


@pytest.fixture
def out(found: Path, tmp_path: Path) -> Path:
    shutil.copytree(found, tmp_path / "out")
    return tmp_path / "out"


def of_clip(out: Path, number: int, name: str) -> list[dict[str, Any]]:
    dataset = open_dataset(out)
    rows: list[dict[str, Any]] = dataset.clip(dataset.clip_ids[number]).table(name).to_pylist()
    return rows


def of_entity(out: Path, name: str, entity: int) -> list[dict[str, Any]]:
    return [row for row in of_clip(out, 0, name) if row["entity"] == entity]


def of_others(out: Path, name: str, *entities: int) -> list[dict[str, Any]]:
    return [row for row in of_clip(out, 0, name) if row["entity"] not in entities]


def put_right(out: Path, *fixes: Mapping[str, Any], number: int = 1) -> None:
    """A reviewer rejects the first clip, with these fixes."""
    dataset = open_dataset(out)
    clip = dataset.clip(dataset.clip_ids[0])
    ReviewFile(Layout(out), "ada").add(
        {
            "request": f"request-{number}",
            "clip_id": clip.clip_id,
            "decision": "reject",
            "reason": "mask",
            "fixes": list(fixes),
        },
        rows_hash=hash_of_rows(clip),
        sample=None,
        stratum=None,
    )


def again(out: Path) -> None:
    retry(out, ("corrected",), HERE, RunOptions(), quiet=True)
    assert list(problems(Dataset(Layout(out)))) == []
    assert Layout(out).shards_in_staging() == set()


def box_of(out: Path, entity: int, frame: int) -> dict[str, Any]:
    """The box of an entity's mask, as a fix of entity 0."""
    row = next(r for r in of_entity(out, "masks", entity) if r["frame"] == frame)
    return {
        "kind": "box",
        "entity": 0,
        "frame": frame,
        "box": [row[n] for n in ("x0", "y0", "x1", "y1")],
    }


def in_sight(out: Path, *entities: int) -> int:
    """A frame in which all of them are seen."""
    seen = [{r["frame"] for r in of_entity(out, "masks", e) if r["area"] > 60} for e in entities]
    return min(set.intersection(*seen))


def same_rows(before: Path, after: Path, *, touched: tuple[int, ...]) -> None:
    """Everything but what concerns the touched things is equal."""
    for name in OF_CLIP:
        assert of_clip(after, 0, name) == of_clip(before, 0, name), name
    for name in OF_THINGS:
        assert of_others(after, name, *touched) == of_others(before, name, *touched), name
    events = [
        [e for e in of_clip(o, 0, "events") if not {*touched} & {*e["entities"]}]
        for o in (before, after)
    ]
    assert events[0] == events[1]
    for name in open_dataset(before).names:
        if name not in ("videos", "questions", "failures", "identities"):
            assert of_clip(after, 1, name) == of_clip(before, 1, name), name


@pytest.mark.seen("corrections run again", "oracle")
def test_a_box_is_followed_in_its_things_place_and_the_others_stay(found: Path, out: Path) -> None:
    frame = in_sight(out, 0, 1)
    put_right(out, box_of(out, 1, frame))  # entity 0 is what was taken for entity 1
    again(out)
    same_rows(found, out, touched=(0,))
    mine = {row["frame"]: row["counts"] for row in of_entity(out, "masks", 0) if row["area"]}
    theirs = {row["frame"]: row["counts"] for row in of_entity(found, "masks", 1) if row["area"]}
    assert mine == theirs
    boxes = [r for r in of_clip(out, 0, "detections") if r["entity"] == 0]
    assert [(r["origin"], r["frame"]) for r in boxes] == [("given", frame)]
    before = [r["detection"] for r in of_clip(found, 0, "detections") if r["entity"] == 0]
    gone = [r for r in of_clip(out, 0, "detections") if r["detection"] in before]
    assert {r["rejected"] for r in gone} == {"duplicate"}
    assert of_entity(out, "positions", 0) != of_entity(found, "positions", 0)


def test_an_outline_is_its_frames_mask_and_is_followed_from_there(found: Path, out: Path) -> None:
    """Two outlines in one frame are two parts; what is drawn outlives a later correction."""
    frame = in_sight(out, 0, 1)
    x0, y0, x1, y1 = box_of(out, 1, frame)["box"]  # entity 0 is what was taken for entity 1
    middle = (x0 + x1) // 2
    outlines = [
        [x0, y0, middle, y0, middle, y1, x0, y1],
        [middle + 1, y0, x1, y0, x1, y1, middle + 1, y1],
    ]
    drawn = np.zeros((80, 96), np.bool_)
    drawn[int(y0) : int(y1), int(x0) : int(x1)] = True
    drawn[:, int(middle)] = False
    put_right(
        out,
        *({"kind": "mask", "entity": 0, "frame": frame, "mask": outline} for outline in outlines),
    )
    again(out)
    same_rows(found, out, touched=(0,))
    first = of_entity(out, "masks", 0)
    rows = {row["frame"]: row for row in first if row["area"]}
    theirs = {row["frame"]: row["counts"] for row in of_entity(found, "masks", 1) if row["area"]}
    assert rows[frame]["counts"] == rle.encode(drawn)
    del theirs[frame]
    assert {f: r["counts"] for f, r in rows.items() if f != frame} == theirs
    assert {f for f, row in rows.items() if row["origin"] == "given"} == {frame}
    put_right(out, box_of(found, 1, frame + 1), number=2)
    again(out)
    assert of_entity(out, "masks", 0) == first


def test_a_second_correction_keeps_the_boxes_of_the_first(found: Path, out: Path) -> None:
    frame = in_sight(out, 0, 1)
    put_right(out, box_of(out, 1, frame))
    again(out)
    point = {"kind": "point", "entity": 0, "frame": frame, "point": [40.0, 40.0]}
    put_right(out, point, box_of(found, 1, frame + 1), number=2)
    again(out)
    boxes = [r["frame"] for r in of_clip(out, 0, "detections") if r["entity"] == 0]
    assert boxes == [frame, frame + 1]
    assert max(c.generation for c in commits.read_all(Layout(out))) == 2


def test_a_thing_that_was_missing_is_numbered_after_the_others(found: Path, out: Path) -> None:
    n_things = len(of_clip(out, 0, "entities"))
    frame = in_sight(out, 1)
    first = {**box_of(out, 1, frame), "entity": -1}  # a number below 0: one thing in both frames
    row = next(r for r in of_entity(out, "masks", 1) if r["frame"] == frame + 1)
    second = {"kind": "mask", "entity": -1, "frame": frame + 1, "mask": row["counts"]}
    put_right(out, first, second, {"kind": "name", "entity": -1, "name": "a green cone"})
    again(out)
    same_rows(found, out, touched=(n_things,))
    (thing,) = of_entity(out, "entities", n_things)
    phrase = of_clip(out, 0, "phrases")[thing["phrase"]]
    assert (phrase["text"], phrase["n_entities"]) == ("a green cone", 1)
    assert of_clip(out, 0, "phrases")[:-1] == of_clip(found, 0, "phrases")
    given = [r for r in of_entity(out, "masks", n_things) if r["origin"] == "given"]
    assert [(r["frame"], r["counts"]) for r in given] == [(frame + 1, row["counts"])]
    boxes = [r for r in of_clip(out, 0, "detections") if r["entity"] == n_things]
    assert [(r["frame"], r["track"]) for r in boxes] == [(frame, None), (frame + 1, None)]
    assert of_entity(out, "positions", n_things)
    assert of_entity(out, "tracks_xyz", n_things)


def test_a_name_moves_a_thing_a_removal_takes_it_and_neither_computes(
    found: Path, out: Path
) -> None:
    put_right(
        out,
        {"kind": "name", "entity": 0, "name": "A Green Cone"},
        {"kind": "remove", "entity": 1},
    )
    again(out)
    for name in OF_THINGS[1:]:
        before = of_others(found, name, 1)
        if name == "positions":
            before = [{**r, "occluder": None if r["occluder"] == 1 else r["occluder"]}
                      for r in before]  # fmt: skip
        assert of_clip(out, 0, name) == before
    assert [e for e in of_clip(found, 0, "events") if 1 not in e["entities"]] == of_clip(
        out, 0, "events"
    )
    boxes = {r["detection"]: r for r in of_clip(out, 0, "detections")}
    gone = {r["detection"] for r in of_clip(found, 0, "detections") if r["entity"] == 1}
    assert {(boxes[n]["entity"], boxes[n]["rejected"]) for n in gone} == {(None, "removed")}
    for form in (cvat, csv, coco):  # a number is left out
        form.export(open_dataset(out), out.parent / form.__name__)
    (thing,), (before,) = of_entity(out, "entities", 0), of_entity(found, "entities", 0)
    assert {k for k in thing if thing[k] != before[k]} == {"phrase"}
    assert of_clip(out, 0, "phrases")[thing["phrase"]]["text"] == "A Green Cone"


def test_a_point_is_followed_as_one_more_of_its_thing(found: Path, out: Path) -> None:
    """Its masks stand, but for the frame in which somebody says that it is not seen."""
    frame = in_sight(out, 0)
    box = box_of(out, 0, frame)["box"]
    middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
    last = of_entity(out, "entities", 0)[0]["last_frame"]
    put_right(
        out,
        {"kind": "point", "entity": 0, "frame": frame, "point": middle},
        {"kind": "mask", "entity": 0, "frame": last, "mask": []},
    )
    again(out)
    same_rows(found, out, touched=(0,))
    masks, before = of_entity(out, "masks", 0), of_entity(found, "masks", 0)
    assert [r for r in masks if r["frame"] != last] == [r for r in before if r["frame"] != last]
    (unseen,) = (r for r in masks if r["frame"] == last)
    assert (unseen["area"], unseen["origin"], unseen["x0"]) == (0, "given", None)
    assert unseen["state"] != "visible"
    assert of_entity(out, "entities", 0)[0]["last_frame"] < last
    places = {r["frame"]: r["state"] for r in of_entity(out, "positions", 0)}
    assert places[last] != "measured"
    *chosen, given = of_entity(out, "tracks_xy", 0)
    assert (given["query_frame"], given["point"]) == (frame, len(chosen))
    assert [given["x"][frame], given["y"][frame]] == pytest.approx(middle, abs=0.3)


def test_what_cannot_be_followed_leaves_the_rows_as_they_stand(found: Path, out: Path) -> None:
    put_right(out, {"kind": "box", "entity": 99, "frame": 0, "box": [1, 1, 9, 9]})
    again(out)
    for name in open_dataset(found).names:
        assert open_dataset(out).table(name) == open_dataset(found).table(name)


def test_a_correction_of_rows_that_changed_since_is_not_used_again(out: Path, capsys) -> None:
    put_right(out, {"kind": "name", "entity": 0, "name": "a cone"})
    again(out)
    files = {path: path.read_bytes() for path in (out / "data").rglob("*.parquet")}
    capsys.readouterr()
    retry(out, ("corrected",), HERE, RunOptions())
    assert "0 corrected; 1 corrected before have other rows now" in capsys.readouterr().err
    assert files == {path: path.read_bytes() for path in (out / "data").rglob("*.parquet")}
    with pytest.raises(UsageError, match="expected some of failed, quarantined, corrected"):
        retry(out, ("wrong",), HERE, RunOptions())


def test_what_was_changed_in_cvat_comes_back(found: Path, out: Path) -> None:
    """A box of one thing is moved to another, whose shapes are deleted in the other clip."""
    cvat.export(open_dataset(out), out / "cvat", options=cvat.CvatOptions(masks=False))
    frame = in_sight(out, 0, 1)
    wanted = box_of(out, 1, frame)
    dataset = open_dataset(out)
    first, second = dataset.clip_ids
    for path in (out / "cvat").glob("*.xml"):
        root = ElementTree.parse(path)
        for track in root.findall("track"):
            whose = [track[0].findtext(f"attribute[@name='{n}']") for n in ("clip", "entity")]
            if whose == [second, "0"]:
                root.getroot().remove(track)
            if whose == [first, "0"]:
                box = next(shape for shape in track if shape.get("frame") == str(frame))
                for side, value in zip(("xtl", "ytl", "xbr", "ybr"), wanted["box"], strict=True):
                    box.set(side, str(value))
        root.write(path)
    said = run_massannot(f"review {out} --from {out / 'cvat'} --reviewer ada", out)
    assert (said.count("1 of 1 clip changed"), said.count("1 box\n")) == (2, 1)
    again(out)
    mine = {row["frame"]: row["counts"] for row in of_entity(out, "masks", 0) if row["area"]}
    theirs = {row["frame"]: row["counts"] for row in of_entity(found, "masks", 1) if row["area"]}
    assert mine == theirs
    for name in OF_THINGS:
        left = [r for r in of_clip(found, 1, name) if r["entity"] != 0]
        if name != "positions":  # what one hid is hidden by nothing that is known
            assert of_clip(out, 1, name) == left, name
        assert of_others(out, name, 0) == of_others(found, name, 0), name
