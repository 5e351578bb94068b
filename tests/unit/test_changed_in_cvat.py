"""What people changed in CVAT is a decision with just that put right; what they left is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import pytest

from massannot import tables
from massannot.dataset.layout import Layout
from massannot.dataset.reading import open_dataset
from massannot.dataset.reviews_of_run import ReviewFile, hash_of_rows
from massannot.errors import UsageError
from massannot.exporters import cvat
from massannot.exporters._cvat_changes import changes_in
from massannot.geometry import rle
from massannot.inputs.span import VideoSource
from massannot.jobs.review_files import review_files
from massannot.storage.parquet import write_parquet
from massannot.video.film_times import film_times
from tests.in_process import run_massannot
from tests.looked_at import HEIGHT, N_FRAMES, WIDTH, clip_id_of, disc, rows_of, write_film
from tests.unit import odd_films
from tests.unit.odd_films import RATES

Fix = dict[str, Any]
Edit = Callable[[Element], None]
FIRST = clip_id_of(0)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of two clips of one film, a ball and a hoop at the same place, and the XML of its
    export."""
    folder = tmp_path_factory.mktemp("changed")
    film = folder / "film.mp4"
    write_film(film)
    times = film_times(VideoSource(str(film)), folder=None)
    rows: dict[str, list[dict[str, Any]]] = {}
    for number, phrase in enumerate(("a ball", "a hoop")):
        for name, more in rows_of(number, phrase, phrase, film).items():
            rows.setdefault(name, []).extend(more)
    for row in rows["frames"]:
        row["pts"] = times[row["frame"]]
    for name, of_table in rows.items():
        spec = tables.spec(name)
        path = folder / f"out/data/{name}/000000.parquet"
        write_parquet(path, [spec.from_rows(of_table)], spec=spec)
    (folder / "out/_run").mkdir()
    assert cvat.export(open_dataset(folder / "out"), folder / "cvat").left_out == ()
    return folder / "out", (folder / "cvat/film.xml").read_text()


def edited(out: Path, text: str, edit: Edit, tmp_path: Path) -> Path:
    """The file as somebody changed it, beside its film's times, under CVAT's own name."""
    root = ElementTree.fromstring(text)
    edit(root)
    (tmp_path / "film.frames.json").write_bytes((out.parent / "cvat/film.frames.json").read_bytes())
    path = tmp_path / "annotations.xml"
    ElementTree.ElementTree(root).write(path)
    return path


def tracks(root: Element, kind: str, clip_id: str = FIRST) -> list[Element]:
    """The tracks of boxes, or of masks, of a clip's thing."""
    found = [track for track in root.findall("track") if track[0].tag == kind]
    return [t for t in found if t[0].findtext("attribute[@name='clip']") == clip_id]


def boxes(root: Element) -> dict[int, Element]:
    (track,) = tracks(root, "box")
    return {int(shape.get("frame", "")): shape for shape in track}


def mask_of(root: Element, frame: int) -> Element:
    (track,) = (t for t in tracks(root, "mask") if t[0].get("frame") == str(frame))
    return track


def moved(*frames: int, by: float) -> Edit:
    def edit(root: Element) -> None:
        for frame in frames:
            for side in ("xtl", "xbr"):
                shape = boxes(root)[frame]
                shape.set(side, str(float(shape.get(side, "")) + by))

    return edit


def redrawn(root: Element) -> None:
    """The mask of frame 5 is two rows of its box."""
    shape = mask_of(root, 5)[0]
    width, height = int(shape.get("width", "")), int(shape.get("height", ""))
    shape.set("rle", f"0, {2 * width}, {(height - 2) * width}")


def two_rows() -> str:
    whole = disc(5)
    rows, columns = (np.flatnonzero(whole.any(axis=axis)) for axis in (1, 0))
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[rows[0] : rows[0] + 2, columns[0] : columns[-1] + 1] = True
    return rle.encode(mask)


def both(*edits: Edit) -> Edit:
    return lambda root: [edit(root) for edit in edits] and None


def ended(root: Element) -> None:
    for frame, shape in boxes(root).items():
        shape.set("outside", str(int(frame >= 17)))


def begun_late(root: Element) -> None:
    (track,) = tracks(root, "box")
    for shape in list(track)[:2]:
        track.remove(shape)
    for frame in (0, 1):
        root.remove(mask_of(root, frame))


def hidden(root: Element) -> None:
    for shape in boxes(root).values():
        shape.set("outside", "1")


def deleted(root: Element) -> None:
    for track in (*tracks(root, "box"), *tracks(root, "mask")):
        root.remove(track)


def renamed(root: Element) -> None:
    """As CVAT does it, in the track of boxes alone."""
    tracks(root, "box")[0].set("label", "hoop")


def new_track(label: str = "a hoop", entity: str = "", **shapes: str) -> Edit:
    """A box at 10, 20 from frame 3 to 5."""

    def edit(root: Element) -> None:
        track = ElementTree.SubElement(root, "track", {"id": "900", "label": label})
        for frame, outside in ((3, "0"), (6, "1")):
            corners = {"xtl": "10", "ytl": "20", "xbr": "30", "ybr": "40.5"}
            at = {"frame": str(frame), "keyframe": "1", "outside": outside, "occluded": "0"}
            shape = ElementTree.SubElement(track, "box", {**at, **corners})
            for name, value in (("clip", ""), ("entity", entity)):
                ElementTree.SubElement(shape, "attribute", {"name": name}).text = value

    return edit


def new_mask(root: Element) -> None:
    """Three pixels in frame 3, which no entity names."""
    track = ElementTree.SubElement(root, "track", {"id": "901", "label": "a ball"})
    form = {"rle": "0, 3", "left": "4", "top": "2", "width": "3", "height": "1"}
    flags = {"keyframe": "1", "outside": "0", "occluded": "0"}
    ElementTree.SubElement(track, "mask", {"frame": "3", **flags, **form})


def at(frame: int, entity: int | None = 0, **what: Any) -> Fix:
    (kind,) = what
    return {"entity": entity, "frame": frame, "kind": kind, **what}


def box_of(frame: int, *, by: float = 0) -> list[float]:
    x0, y0, x1, y1 = rle.box_xyxy(rle.encode(disc(frame)), height=HEIGHT, width=WIDTH) or (0,) * 4
    return [x0 + by, float(y0), x1 + by, float(y1)]


def pixels(root_row: int, x0: int, x1: int) -> str:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[root_row, x0:x1] = True
    return rle.encode(mask)


CHANGES: dict[str, tuple[Edit, Sequence[Fix]]] = {
    "nothing": (lambda root: None, []),
    "half a pixel": (moved(4, by=0.5), []),
    "a box": (moved(4, by=3), [at(4, box=box_of(4, by=3))]),
    "a mask": (redrawn, [at(5, mask=two_rows())]),
    "a mask and its box": (both(redrawn, moved(5, by=3)), [at(5, mask=two_rows())]),
    "a mask that is gone": (
        lambda root: root.remove(mask_of(root, 7)),
        [at(7, box=box_of(7))],
    ),
    "boxes that are gone": (lambda root: root.remove(tracks(root, "box")[0]), []),
    "an earlier end": (ended, [at(f, mask=[]) for f in (17, 18, 19)]),
    "a later beginning": (begun_late, [at(f, mask=[]) for f in (0, 1)]),
    "a thing deleted": (deleted, [{"kind": "remove", "entity": 0}]),
    "a thing nowhere in the picture": (hidden, [{"kind": "remove", "entity": 0}]),
    "a label": (renamed, [{"kind": "name", "entity": 0, "name": "a hoop"}]),
    "a new thing": (
        new_track(),
        [
            {"kind": "name", "entity": -1, "name": "a hoop"},
            *(at(f, -1, box=[10, 20, 30, 40.5]) for f in (3, 4, 5)),
            *(at(f, -1, mask=[]) for f in range(6, N_FRAMES)),
        ],
    ),
    "a new mask": (
        new_mask,
        [{"kind": "name", "entity": None, "name": "a ball"}, at(3, None, mask=pixels(2, 4, 7))],
    ),
}


@pytest.mark.parametrize("case", sorted(CHANGES))
def test_a_change_is_put_right_and_nothing_else(
    case: str, exported: tuple[Path, str], tmp_path: Path
) -> None:
    out, text = exported
    edit, expected = CHANGES[case]
    changes = changes_in(edited(out, text, edit, tmp_path), open_dataset(out))
    of_first = next((c.fixes for c in changes.clips if c.clip_id == FIRST), ())
    assert list(of_first) == list(expected)
    is_new = case.startswith("a new")  # of both clips, which show the same pictures
    assert [c.clip_id for c in changes.clips if c.clip_id != FIRST] == [clip_id_of(1)] * is_new


def without_things(root: Element) -> None:
    for track in root.findall("track"):
        root.remove(track)


def with_text(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "no times": (
        lambda p: p.with_name("film.frames.json").unlink(),
        "found no film.frames.json beside it",
    ),
    "older times": (
        lambda p: with_text('"things"', '"some"')(p.with_name("film.frames.json")),
        "film.frames.json: found a damaged or changed file (KeyError: 'things')",
    ),
    "another length": (
        with_text("<stop_frame>19<", "<stop_frame>20<"),
        "has 21 pictures from 0 on, expected the 20 of the film beside it",
    ),
    "another dataset": (
        lambda p: with_text(FIRST, "c9")(p.with_name("film.frames.json")),
        "is about clip c9, which",
    ),
    "another film": (with_text(FIRST, "c9"), "found clip 'c9', expected one of ['c0000000', "),
    "another size": (
        with_text(f"<width>{WIDTH}<", f"<width>{2 * WIDTH}<"),
        f"has pictures of {2 * WIDTH}x{HEIGHT}, expected those of clip",
    ),
    "an unknown label": (
        with_text('label="a ball"', 'label="a bell"'),
        "found label 'a bell', expected one of ['a ball', 'a hoop']",
    ),
    "an unknown entity": (
        with_text('<attribute name="entity">0<', '<attribute name="entity">7<'),
        "found entity 7 of clip 'c0000000'",
    ),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_a_file_of_something_else_is_refused_by_name(
    case: str, exported: tuple[Path, str], tmp_path: Path
) -> None:
    out, text = exported
    change, message = REFUSED[case]
    path = edited(out, text, lambda root: None, tmp_path)
    change(path)
    with pytest.raises(UsageError) as caught:
        review_files(out, source=path, reviewer="eve")
    assert message in str(caught.value)
    assert not (out / "_run/reviews/eve.jsonl").exists()


@pytest.mark.parametrize("rate", sorted(RATES))
def test_frames_are_the_right_ones_on_films_of_odd_rates(rate: str, tmp_path: Path) -> None:
    clip, out = odd_films.annotated(rate, tmp_path)
    cvat.export(open_dataset(out), tmp_path / "cvat")
    path = tmp_path / "cvat/film.xml"
    assert changes_in(path, open_dataset(out)).clips == ()
    root = ElementTree.parse(path)
    last = len(clip) - 1
    pts = json.loads((tmp_path / "cvat/film.frames.json").read_text())["pts"]
    picture = str(pts.index(int(clip.frames.pts[last])))
    (shape,) = (s for s in root.iter("box") if s.get("frame") == picture)
    shape.set("ytl", str(float(shape.get("ytl", "")) + 2))
    root.write(path)
    (changed,) = changes_in(path, open_dataset(out)).clips
    x0, y0, x1, y1 = odd_films.box_at(last)
    assert changed.fixes == (at(last, box=[x0, y0 + 2, x1, y1]),)


def test_a_box_moved_between_frames_is_named(tmp_path: Path) -> None:
    clip, out = odd_films.annotated("29.97", tmp_path)
    cvat.export(open_dataset(out), tmp_path / "cvat")
    path = tmp_path / "cvat/film.xml"
    pts = json.loads((tmp_path / "cvat/film.frames.json").read_text())["pts"]
    picture = pts.index(int(clip.frames.pts[-1])) - 1
    root = ElementTree.parse(path)
    (track,) = (t for t in root.iter("track") if t[0].tag == "box")
    at_frame = {"frame": str(picture), "keyframe": "1", "outside": "0", "occluded": "0"}
    corners = {"xtl": "1", "ytl": "2", "xbr": "9", "ybr": "9"}
    ElementTree.SubElement(track, "box", {**at_frame, **corners})
    root.write(path)
    changes = changes_in(path, open_dataset(out))
    assert changes.clips == ()
    before = picture - 1  # from there the box goes to the new one
    assert f"boxes in pictures [{before}, {picture}] of film.mp4" in changes.left_out[0]


def test_each_changed_clip_is_one_decision_however_often_the_file_is_given(
    exported: tuple[Path, str], tmp_path: Path
) -> None:
    out, text = exported
    edited(out, text, both(redrawn, moved(4, by=3)), tmp_path)
    dataset, file = open_dataset(out), ReviewFile(Layout(out), "ada")
    shown = hash_of_rows(dataset.clip(FIRST))
    accept = {"request": "accepted", "clip_id": FIRST, "decision": "accept"}
    file.add(accept, rows_hash=shown, sample="s", stratum="balls")
    command = f"review {out} --from {tmp_path} --reviewer ada"
    for _ in range(2):
        said = run_massannot(command, tmp_path)
        assert "1 of 2 clips changed" in said
        assert f"{FIRST}: 1 box, 1 mask" in said
        assert f"next: massannot retry {out} --status corrected" in said
    (told,) = json.loads(run_massannot(f"{command} --json", tmp_path))
    assert (told["clips"], told["changed"]) == (2, {FIRST: {"box": 1, "mask": 1}})
    _, made = file.read()
    assert (made.decision, made.reason, made.rows_hash) == ("reject", "mask", shown)
    assert (made.sample, made.stratum, made.note) == ("s", "balls", "from annotations.xml")
    assert made.fixes == (at(4, box=box_of(4, by=3)), at(5, mask=two_rows()))
    changed = with_text(shown, "0" * 32)  # as after a retry
    changed(tmp_path / "film.frames.json")
    said = run_massannot(command, tmp_path)
    assert "0 of 2 clips changed" in said
    assert f"clip {FIRST}: its rows have changed since; export it again" in said
