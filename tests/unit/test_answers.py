"""What a person or a file gave is kept as it is, answers for nothing else, and is refused by name
where it contradicts itself: the small inputs of a ten-frame film of a box that moves."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from massannot.clip import Clip, Frames
from massannot.errors import MassannotWarning, ModelFailed, UsageError
from massannot.geometry import rle
from massannot.jobs.plan import videos_of
from massannot.models.recorded.camera_files import RecordedCameras
from massannot.models.recorded.depth_files import RecordedDepth
from massannot.models.recorded.object_files import RecordedBoxes, RecordedMasks
from massannot.models.recorded.track_files import RecordedTracks
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.stages.detect_phrases import DetectPhrases
from massannot.stages.propagate_masks import PropagateMasks
from massannot.viewers.summary import Facts, as_text
from tests.drawn_world import RED, DrawnMasks, Thing, World, clip_of, line
from tests.faults.tiny_run import write_videos

T, WIDTH, HEIGHT = 10, 96, 64
X0 = [10 + 3 * t for t in range(T)]
Content = dict[str, Any]
Change = Callable[[Content], Any]


def frames_at(times_s: list[float] | None = None, *, source_id: str = "ball") -> Frames:
    times = [t / 10 for t in range(T)] if times_s is None else times_s
    pixels = np.full((len(times), HEIGHT, WIDTH, 3), 90, np.uint8)
    for picture, time_s in zip(pixels, times):
        x = round(10 + 30 * time_s)
        picture[20:36, x : x + 16] = (210, 40, 40)
    return Frames(
        pixels_THWC=pixels,
        video_id="0" * 32,
        source_id=source_id,
        pts=np.round(np.array(times) * 1000).astype(np.int64),
        t_s=np.array(times),
        time_base=Fraction(1, 1000),
        source_width=WIDTH,
        source_height=HEIGHT,
    )


def mask_of(x: int, y: int = 20, side: int = 16) -> Content:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y : y + side, x : x + side] = True
    return {"size": [HEIGHT, WIDTH], "counts": rle.encode(mask)}


def coco(**video: Any) -> Content:
    """The box in ten frames, tracked, with masks."""
    content: Content = {
        "images": [
            {"id": t, "file_name": f"ball/{t:05d}.jpg", "width": WIDTH, "height": HEIGHT}
            for t in range(T)
        ],
        "categories": [{"id": 1, "name": "box"}],
        "annotations": [
            {
                "id": t,
                "image_id": t,
                "category_id": 1,
                "track_id": 1,
                "bbox": [x, 20, 16, 16],
                "area": 256,
                "iscrowd": 0,
                "segmentation": mask_of(x),
            }
            for t, x in enumerate(X0)
        ],
    }
    if video:
        content["videos"] = [{"id": 1, "name": "ball", **video}]
        for image in content["images"]:
            image["video_id"] = 1
    return content


def renamed(content: Content, name: str) -> Content:
    for t, image in enumerate(content["images"]):
        image["file_name"] = name.format(t=t, one=t + 1)
    return content


def only(content: Content, rows: list[int]) -> Content:
    """The annotations of these frames; all images stay."""
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] in rows]
    return content


def without(content: Content, *keys: str) -> Content:
    for annotation in content["annotations"]:
        for key in keys:
            del annotation[key]
    return content


def each(content: Content, **values: Any) -> Content:
    for annotation in content["annotations"]:
        annotation |= values
    return content


def annotated(
    folder: Path,
    content: Content,
    *,
    frames: Frames | None = None,
    propagator: Any = None,
    **options: Any,
) -> Clip:
    """The film after both stages, boxes and masks from one file."""
    path = folder / "b.json"
    path.write_text(json.dumps(content))
    detector, masks = RecordedBoxes(str(path), **options), RecordedMasks(str(path), **options)
    for model in (detector, masks):
        model.setup(device="cpu")
    clip = clip_of(frames or frames_at(), ["box"])
    stage = PropagateMasks(propagator=propagator or masks)
    return stage.process(DetectPhrases(detector).process(clip))


def seen(clip: Clip) -> dict[int, dict[int, float]]:
    """Entity to frame to the left edge of its mask."""
    found: dict[int, dict[int, float]] = {}
    for row in clip.table("masks").to_pylist():
        if row["area"]:
            found.setdefault(row["entity"], {})[row["frame"]] = row["x0"]
    return found


TRUTH = {0: dict(enumerate(map(float, X0)))}


def hashed(content: Content) -> Content:
    """The file names of a tool that appends a hash."""
    ends = ["cfcd2084", "c4ca4238", "c81e728d", "eccbc87e", "a87ff679", "e4da3b7f", "1679091c",
            "8f14e45f", "c9f0f895", "45c48cce"]  # fmt: skip
    for t, (image, end) in enumerate(zip(content["images"], ends)):
        image["file_name"] = f"ball/ball_mp4-{t:04d}_jpg.rf.{end}.jpg"
    return content


def in_attributes(content: Content) -> Content:
    for annotation in content["annotations"]:
        track = annotation.pop("track_id")
        annotation["attributes"] = {"track_id": track, "occluded": False, "keyframe": True}
    return content


def shuffled(content: Content) -> Content:
    content["images"] = [content["images"][t] for t in (3, 9, 0, 5, 1, 8, 2, 7, 4, 6)]
    return content


RIGHT: Mapping[str, Callable[[], Content]] = {
    "as it is": coco,
    "names end in a hash": lambda: hashed(coco()),
    "a list in any order, names in the right one": lambda: shuffled(coco()),
    "names without padding": lambda: renamed(coco(), "ball/{t}.jpg"),
    "names from one": lambda: renamed(coco(), "ball/frame_{one:06d}.jpg"),
    "names from one with fps": lambda: renamed(coco(fps=10), "ball/frame_{one:06d}.jpg"),
    "names from zero with fps": lambda: renamed(coco(fps=10), "ball/frame_{t:06d}.jpg"),
    "names of Windows": lambda: renamed(coco(), "train\\ball\\{t:05d}.jpg"),
    "track ids in attributes": lambda: in_attributes(coco()),
    "track ids that are texts": lambda: each(coco(), track_id="a"),
    "boxes without masks": lambda: without(coco(), "segmentation"),
    "boxes with empty lists for masks": lambda: each(coco(), segmentation=[]),
    "polygons": lambda: polygons(coco()),
}


def polygons(content: Content) -> Content:
    for annotation in content["annotations"]:
        x, y, w, h = annotation["bbox"]
        annotation["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    return content


@pytest.mark.parametrize("name", RIGHT)
def test_the_box_is_where_the_file_says(tmp_path: Path, name: str) -> None:
    clip = annotated(tmp_path, RIGHT[name]())
    assert seen(clip) == TRUTH
    assert set(clip.table("masks")["origin"].to_pylist()) == {"given"}
    boxes = [(r["frame"], r["x0"], r["y0"], r["x1"], r["y1"], r["rejected"], r["origin"])
             for r in clip.table("detections").to_pylist()]  # fmt: skip
    assert boxes == [(t, x, 20, x + 16, 36, None, "given") for t, x in enumerate(X0)]


def test_names_that_say_nothing_leave_the_order_of_the_list(tmp_path: Path) -> None:
    content = coco()
    for image, name in zip(content["images"], "qzrmbxkpaw"):
        image["file_name"] = f"ball/{name}{len(name)}.jpg"
    assert seen(annotated(tmp_path, content)) == TRUTH


def test_labels_between_key_frames_are_kept_and_the_rest_is_absent(tmp_path: Path) -> None:
    clip = annotated(tmp_path, only(coco(), [3, 4, 5, 6]))
    assert seen(clip) == {0: {t: float(X0[t]) for t in (3, 4, 5, 6)}}
    states = {r["frame"]: r["state"] for r in clip.table("masks").to_pylist()}
    assert [t for t, state in states.items() if state == "absent"] == [0, 1, 2, 7, 8, 9]


def test_sparse_rows_answer_for_their_own_moments_alone(tmp_path: Path) -> None:
    content = coco()
    content["images"] = content["images"][:2]
    for image, time_s in zip(content["images"], (0.0, 0.8)):
        image["t_s"] = time_s
    content = only(content, [0, 1])
    clip = annotated(tmp_path, content)
    assert seen(clip) == {0: {0: 10.0, 8: 13.0}}
    assert clip.table("masks")["frame"].to_pylist() == [0, 8]  # nothing is said about the others
    assert clip.table("detections")["frame"].to_pylist() == [0, 8]


def test_one_moment_is_one_box(tmp_path: Path) -> None:
    content = only(coco(), [0])
    content["images"] = [{**content["images"][0], "t_s": 0.42}]
    assert seen(annotated(tmp_path, content)) == {0: {4: 10.0}}


def test_two_things_that_are_not_tracked_are_not_one(tmp_path: Path) -> None:
    content = each(without(coco(), "segmentation"), track_id=-1)
    content["annotations"] += [
        {**a, "id": 100 + a["id"], "bbox": [70, 40, 16, 16]} for a in content["annotations"]
    ]
    clip = annotated(tmp_path, content)
    assert seen(clip) == {**TRUTH, 1: dict.fromkeys(range(T), 70.0)}
    assert clip.table("detections")["rejected"].to_pylist() == [None] * 20


def test_crowd_regions_are_no_things_unless_it_is_said(tmp_path: Path) -> None:
    content = coco()
    crowd = {"id": 99, "image_id": 0, "category_id": 1, "iscrowd": 1, "bbox": [50, 4, 40, 40],
             "segmentation": mask_of(50, 4, 40)}  # fmt: skip
    content["annotations"].append(crowd)
    assert seen(annotated(tmp_path, content)) == TRUTH
    both = seen(annotated(tmp_path, content, crowd=True))
    assert sorted(map(len, both.values())) == [1, T]
    model = RecordedBoxes(str(tmp_path / "b.json"))
    model.setup(device="cpu")
    assert model.card().note == "11 annotations read, 10 used, left out: 1 crowd region"


@pytest.mark.parametrize("mask", [None, [], "empty"])
def test_a_box_beside_no_mask_is_not_the_mask(tmp_path: Path, mask: Any) -> None:
    content = coco()
    nothing = {"size": [HEIGHT, WIDTH], "counts": rle.encode(np.zeros((HEIGHT, WIDTH), np.bool_))}
    for t in (0, 5):
        content["annotations"][t]["segmentation"] = nothing if mask == "empty" else mask
    clip = annotated(tmp_path, content)
    assert sorted(seen(clip)[0]) == [1, 2, 3, 4, 6, 7, 8, 9]
    states = {r["frame"]: r["state"] for r in clip.table("masks").to_pylist()}
    # hidden only after it was seen; where nothing is said, there is no row
    assert (states.get(0), states.get(5)) == (
        ("absent", "occluded") if mask == "empty" else (None, None)
    )
    assert clip.table("detections")["rejected"].to_pylist() == [None] * T
    model = RecordedMasks(str(tmp_path / "b.json"))
    model.setup(device="cpu")
    assert ("; 2 masks are empty" in model.card().note) == (mask == "empty")


def test_sixty_things_are_sixty(tmp_path: Path) -> None:
    content = only(coco(), [0])
    content["annotations"] = [
        {
            "id": k,
            "image_id": 0,
            "category_id": 1,
            "track_id": k,
            "bbox": [k % 10 * 9, k // 10 * 9, 8, 8],
        }
        for k in range(60)
    ]
    clip = annotated(tmp_path, content)
    assert clip.table("entities").num_rows == 60
    assert clip.table("detections")["rejected"].to_pylist() == [None] * 60


def test_things_inside_each_other_are_two(tmp_path: Path) -> None:
    content = only(coco(), [0, 1])
    content["annotations"] += [
        {**a, "id": 50 + a["id"], "track_id": 2, "bbox": [a["bbox"][0] + 2, 22, 12, 12],
         "segmentation": mask_of(a["bbox"][0] + 2, 22, 12)}
        for a in content["annotations"]
    ]  # fmt: skip
    assert seen(annotated(tmp_path, content)) == {0: {0: 10.0, 1: 13.0}, 1: {0: 12.0, 1: 15.0}}


def test_equal_boxes_of_two_things_have_their_own_masks(tmp_path: Path) -> None:
    content = only(coco(), [0])
    (first,) = content["annotations"]
    first["segmentation"] = mask_of(10, 20, 8)
    second = {**first, "id": 7, "track_id": 2, "segmentation": mask_of(18, 28, 8)}
    content["annotations"].append(second)
    assert seen(annotated(tmp_path, content)) == {0: {0: 10.0}, 1: {0: 18.0}}


def test_masks_that_a_model_makes_of_given_boxes_are_propagated(tmp_path: Path) -> None:
    world = World([Thing("box", RED, 16, line(T, (18, 28), (45, 28)), square=True)],
                  height=HEIGHT, width=WIDTH)  # fmt: skip
    content = without(only(coco(), [4]), "segmentation")
    x0, y0, x1, y1 = world.box(4, 0).tolist()
    content["annotations"][0] |= {"bbox": [x0, y0, x1 - x0, y1 - y0], "score": 0.2}
    content["images"] = [
        {k: v for k, v in i.items() if k != "file_name"} for i in content["images"]
    ]
    clip = annotated(tmp_path, content, frames=world.frames, propagator=DrawnMasks(world))
    rows = clip.table("masks").to_pylist()
    assert [r["frame"] for r in rows if r["area"]] == list(range(T))  # forward and back
    assert {r["origin"] for r in rows} == {"propagated"}
    assert [(r["frame"], r["x0"], r["origin"]) for r in clip.table("detections").to_pylist()] == [
        (4, x0, "given")
    ]


def edited(change: Change, content: Content | None = None) -> Content:
    content = copy.deepcopy(content or coco())
    change(content)
    return content


def _first(content: Content) -> Content:
    first: Content = content["annotations"][0]
    return first


REFUSED: Mapping[str, tuple[Content, str]] = {
    "a flat polygon": (
        edited(lambda c: _first(c).update(segmentation=[10, 20, 26, 20, 26, 36])),
        r"annotations\[0\] \(id 0\): segmentation .* is a flat list",
    ),
    "an odd polygon": (
        edited(lambda c: _first(c).update(segmentation=[[10, 20, 26, 20, 26, 36, 10]])),
        r"annotations\[0\] \(id 0\): polygon .* an even number",
    ),
    "score null": (
        edited(lambda c: _first(c).update(score=None)),
        r"annotations\[0\] \(id 0\): score is null, .* leave the key out",
    ),
    "score in percent": (edited(lambda c: _first(c).update(score=95)), "score 95, expected 0..1"),
    "a negative width": (
        edited(lambda c: _first(c).update(bbox=[26, 20, -16, 16])),
        r"annotations\[0\] \(id 0\): bbox .* has width -16",
    ),
    "a box of three": (edited(lambda c: _first(c).update(bbox=[1, 2, 3])), "expected .x, y, width"),
    "a box outside": (
        edited(lambda c: _first(c).update(bbox=[900, 20, 16, 16])), "lies outside of the picture"
    ),
    "a box far from its mask": (
        edited(lambda c: _first(c).update(bbox=[60, 40, 16, 16])), "do not meet"
    ),
    "boxes in shares": (
        each(without(coco(), "segmentation"), bbox=[0.1, 0.2, 0.3, 0.4]), "shares of the picture"
    ),
    "an image that is not there": (
        edited(lambda c: _first(c).update(image_id=77)),
        r"annotations\[0\] \(id 0\): image_id 77 is not among images",
    ),
    "a text for a number": (
        edited(lambda c: _first(c).update(image_id="0")),
        "image_id '0' is not among images; it has 0: an id is a number in both lists",
    ),
    "a category that is not there": (
        edited(lambda c: _first(c).update(category_id=2)), "category_id 2 is not among categories"
    ),
    "a thing twice in a frame": (
        edited(lambda c: c["annotations"][1].update(image_id=0)),
        r"annotations\[1\] \(id 1\) is track 1 in image 0, as .*annotations\[0\]",
    ),
    "a track of two categories": (
        edited(lambda c: (c["categories"].append({"id": 2, "name": "cup"}),
                          c["annotations"][1].update(category_id=2))),
        "counted over all categories",
    ),
    "two ids that disagree": (
        edited(lambda c: _first(c).update(attributes={"track_id": 9})), "disagree"
    ),
    "an id twice": (edited(lambda c: c["images"][1].update(id=0)), r"images\[1\] .* has the id of"),
    "a frame twice": (
        edited(lambda c: c["images"][1].update(file_name="ball/00000.jpg")), "are both number 0"
    ),
    "a frame number twice": (
        edited(lambda c: [i.update(frame_index=min(n, 8)) for n, i in enumerate(c["images"])]),
        "frame_index 8 is there twice",
    ),
    "a misspelt key": (
        edited(lambda c: _first(c).update(trackId=1)),
        "'trackId', expected 'track_id'",
    ),
    "annotations null": (edited(lambda c: c.update(annotations=None)), "annotations is null"),
    "an annotation that is a list": (
        edited(lambda c: c["annotations"].insert(2, [])), r"annotations\[2\] is a list"
    ),
    "a mask of another picture": (
        edited(lambda c: _first(c).update(segmentation={"size": [96, 64], "counts": "0"})),
        r"annotations\[0\] \(id 0\): mask of \[96, 64\] in a picture of \[64, 96\]",
    ),
    "neither box nor mask": (
        edited(lambda c: _first(c).update(bbox=None, segmentation=None)), "neither bbox nor"
    ),
    "two sizes": (edited(lambda c: c["images"][3].update(width=64)), "several sizes"),
    "only crowds": (each(coco(), iscrowd=1), "found 10 annotations, all left out.*detect.crowd"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_contradicts_itself_is_refused_by_name(tmp_path: Path, name: str) -> None:
    content, message = REFUSED[name]
    with pytest.raises(UsageError, match=message):
        annotated(tmp_path, content)


def test_numbers_that_begin_elsewhere_tell_no_time(tmp_path: Path) -> None:
    content = coco(fps=10)
    for t, image in enumerate(content["images"]):
        image["file_name"] = f"ball/{t + 5:05d}.jpg"
    with pytest.raises(UsageError, match="frame numbers begin with 5: nobody can tell"):
        annotated(tmp_path, content)
    clip = annotated(
        tmp_path, content, first_number=1, frames=frames_at([t / 10 for t in range(14)])
    )
    assert sorted(seen(clip)[0]) == list(range(4, 14))


def test_numbers_that_jump_tell_no_order(tmp_path: Path) -> None:
    content = coco()
    content["images"][9]["file_name"] = "ball/00020.jpg"
    with pytest.raises(ModelFailed, match="numbers of its frames jump, 8 to 20"):
        annotated(tmp_path, content)


def test_a_later_clip_with_as_many_frames_is_not_told_by_order(tmp_path: Path) -> None:
    frames = frames_at([1 + t / 10 for t in range(T)])
    with pytest.raises(ModelFailed, match=r"begins 1\.000 s after its video"):
        annotated(tmp_path, coco(), frames=frames)


def test_a_file_that_names_no_video_is_refused_for_several(tmp_path: Path) -> None:
    content = renamed(coco(), "{t:05d}.jpg")
    (tmp_path / "b.json").write_text(json.dumps(content))
    (tmp_path / "c.json").write_text(json.dumps({"intrinsics": MATRIX.tolist()}))
    write_videos(tmp_path / "films", 2)
    files = {"masks": str(tmp_path / "b.json")}
    spec = run_spec(
        [str(tmp_path / "films")], ["box"], flags=ModelFlags(profile="none", files=files)
    )
    with pytest.raises(
        UsageError, match=r"b\.json: names no video, and there are 2; expected names"
    ):
        videos_of(spec)
    one_camera = {"cameras": str(tmp_path / "c.json")}
    flags = ModelFlags(profile="none", files=one_camera)
    spec = run_spec([str(tmp_path / "films")], ["box"], flags=flags)
    assert len(videos_of(spec)) == 2


def test_the_summary_says_what_was_given_and_which_limit_left_boxes_out() -> None:
    known = Facts(1, 10, (), {}, {}, 0, 1, 0, 0, None, 0, 0, {}, {"used": 9, "empty_mask": 1},
                  {"over_phrase_limit": 50})  # fmt: skip
    text = as_text(known, out=Path("out"), models=(), notes=(), looks=())
    assert "given boxes in these frames: 1 empty_mask, 9 used" in text
    assert "LIMITS: boxes without an entity: 50 beyond detect_phrases.max_per_phrase" in text


def test_keys_that_nobody_reads_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(json.dumps(each(coco(), keypoint_colour=1)), encoding="utf-8-sig")
    model = RecordedMasks(str(path))
    model.setup(device="cpu")
    assert model.card().note == (
        "10 annotations read, 10 used; keys that nobody reads: annotations.keypoint_colour (10)"
    )


DEPTH = np.linspace(1, 3, T * HEIGHT * WIDTH).reshape(T, HEIGHT, WIDTH).astype(np.float32)


def depth(folder: Path, **arrays: Any) -> np.ndarray:
    np.savez(folder / "d.npz", **arrays)
    model = RecordedDepth(str(folder / "d.npz"))
    model.setup(device="cpu")
    return model.estimate_depth(frames_at()).values


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"depth": DEPTH.transpose(0, 2, 1)}, "64x96, but ball has 96x64.*turned by a quarter"),
        ({"depth": DEPTH[:, :, :64]}, "64x64, but ball has 96x64.*cropped"),
        ({"depth": (DEPTH * 1000).astype(np.uint16)}, "uint16, whole numbers.*scale=0.001"),
        ({"depth": np.round(DEPTH * 1000)}, "median of metric depth is 2000 m.*millimetres"),
        ({"depth": DEPTH * 1000.3}, "are these millimetres"),
        ({"depth": DEPTH[:, None]}, r"expected depth \(T, h, w\)"),
        ({"depth": DEPTH, "unit": "m"}, "nobody reads 'unit'; known names are depth"),
        ({"depth": DEPTH, "t_s": np.arange(9) / 10}, r"t_s has shape \(9,\), expected 10"),
        ({"depth": DEPTH, "pts": [0, 0, *range(8)]}, "pts 0 is there twice"),
        ({"depth": DEPTH, "kind": "metres"}, "kind 'metres', expected metric or"),
    ],
)  # fmt: skip
def test_depth_that_cannot_be_is_refused(tmp_path: Path, arrays: Any, message: str) -> None:
    with pytest.raises((UsageError, ModelFailed), match=message):
        depth(tmp_path, **arrays)


def test_depth_in_millimetres_is_metres_where_the_scale_is_said(tmp_path: Path) -> None:
    found = depth(tmp_path, depth=np.full((T, 64, 96), 2000, np.uint16), scale=0.001)
    assert np.all(found == np.float32(2))


@pytest.mark.parametrize(("height", "width"), [(64, 96), (32, 48), (42, 70), (126, 196)])
def test_depth_of_other_sizes_and_whole_patches_is_taken(
    tmp_path: Path, height: int, width: int
) -> None:
    aspect_error = abs(width / height / 1.5 - 1)
    maps = np.ones((T, height, width), np.float32)
    if aspect_error > 0.05:
        with pytest.raises(ModelFailed, match="another shape"):
            depth(tmp_path, depth=maps)
    else:
        assert depth(tmp_path, depth=maps).shape == maps.shape


def test_depth_of_some_moments_is_unknown_at_the_others(tmp_path: Path) -> None:
    found = depth(tmp_path, depth=DEPTH[:2], t_s=[0.0, 0.8])
    assert np.flatnonzero(np.isfinite(found).all(axis=(1, 2))).tolist() == [0, 8]


def test_pictures_of_depth_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "ball").mkdir()
    for t in range(T):
        steps = np.full((HEIGHT, WIDTH), 1000 + t, np.uint16)
        Image.fromarray(steps).save(tmp_path / "ball" / f"{t + 1}_d{9 - t}.png")
    model = RecordedDepth(str(tmp_path), fps=10)
    model.setup(device="cpu")
    found = model.estimate_depth(frames_at()).values[:, 0, 0]
    assert np.allclose(found, 1 + np.arange(T) / 1000)
    (tmp_path / "ball" / "notes.txt").write_text("x")
    with pytest.raises(ModelFailed, match=r"found notes\.txt"):
        model.estimate_depth(frames_at())


def tracks(folder: Path, **arrays: Any) -> Any:
    np.savez(folder / "t.npz", **arrays)
    model = RecordedTracks(str(folder / "t.npz"))
    model.setup(device="cpu")
    return model.track(frames_at(), queries_txy=np.array([[0, 12.0, 22.0]]))


POINTS = np.stack([[[11 + 3 * t, 21.0]] for t in range(T)])
SEEN = np.ones((T, 1), bool)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"tracks": POINTS[None], "visible": SEEN[None]}, r"batch of one.*tracks\[0\]"),
        ({"tracks": POINTS[:1][None], "visible": SEEN[:1][None]}, "batch of one"),
        ({"tracks": POINTS, "visible": SEEN.T}, r"expected tracks \(T, N, 2\)"),
        ({"tracks": POINTS + 500, "visible": SEEN}, "never inside the picture of 96x64"),
        ({"tracks": POINTS / 100, "visible": SEEN}, "shares of the picture"),
        ({"tracks": POINTS, "visible": SEEN * 7.5}, "expected 0..1"),
        ({"tracks": POINTS, "visible": SEEN, "occlusion": SEEN}, "nobody reads 'occlusion'"),
        ({"tracks": POINTS, "visible": SEEN, "visibility": SEEN}, "expected one of them"),
    ],
)  # fmt: skip
def test_tracks_that_cannot_be_are_refused(tmp_path: Path, arrays: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tracks(tmp_path, **arrays)


def test_tracks_of_some_moments_are_visible_in_them_alone(tmp_path: Path) -> None:
    found = tracks(tmp_path, tracks=POINTS[[0, 5]], visible=SEEN[:2], t_s=[0.0, 0.5])
    assert np.flatnonzero(found.visible[:, 0]).tolist() == [0, 5]


def test_a_track_that_never_was_inside_is_said(tmp_path: Path) -> None:
    both = np.concatenate([POINTS, POINTS + 500], axis=1)
    with pytest.warns(MassannotWarning, match="1 of 2 tracks are visible and never inside"):
        tracks(tmp_path, tracks=both, visible=np.ones((T, 2), bool))


def cameras(folder: Path, **arrays: Any) -> Any:
    np.savez(folder / "c.npz", **arrays)
    model = RecordedCameras(str(folder / "c.npz"))
    model.setup(device="cpu")
    return model.estimate_cameras(frames_at())


POSES = np.tile(np.eye(4), (T, 1, 1))
MATRIX = np.array([[90.0, 0, 47.5], [0, 90, 31.5], [0, 0, 1]])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"intrinsics": [1.04, 1.56, 0.5, 0.5]}, "field of view of 17.*shares of the picture"),
        ({"intrinsics": [2000.0, 2000, 960, 540]}, "expected pixels of these pictures.*size"),
        ({"intrinsics": [90.0, 90, 47.5, 90]}, "their centre outside"),
        ({"intrinsics": MATRIX.T}, "not transposed"),
        ({"intrinsics": MATRIX, "K": MATRIX}, "expected one of them"),
        ({"intrinsics": MATRIX, "cam_from_world": 2 * POSES}, "row 0 is not rigid"),
        ({"intrinsics": MATRIX, "cam_from_world": POSES[:1]}, "found 1 frame for ball"),
        ({"intrinsics": MATRIX, "distortion": [0.1]}, "nobody reads 'distortion'"),
        (
            {"intrinsics": np.tile([90.0, 90, 47.5, 31.5], (2, 1)), "t_s": [0.0, 0.8]},
            r"no camera for 8 of 10 frames of ball: 1 \(0.100 s\), 2 ",
        ),
    ],
)  # fmt: skip
def test_cameras_that_cannot_be_are_refused(tmp_path: Path, arrays: Any, message: str) -> None:
    with pytest.raises((UsageError, ModelFailed), match=message):
        cameras(tmp_path, **arrays)


def test_one_set_of_intrinsics_is_the_whole_videos(tmp_path: Path) -> None:
    found = cameras(tmp_path, intrinsics=[1800.0, 1800, 959.5, 639.5], size=[1920, 1280])
    assert found.intrinsics.tolist() == [[90, 90, 48, 32]] * T
    assert found.pose_origin == "assumed"
