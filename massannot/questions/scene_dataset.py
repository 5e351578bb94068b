"""Questions about scenes as a dataset in the annotator's own tables, so that every reader of an
annotated dataset reads this one too.

A video is an address, "scene:1000003/2": its seed and the side it is seen from. Four thumbnails of
each lie beside the tables, in `pictures/<clip_id>.png`, one under the other; others are rendered on
request. No film is encoded for thousands of questions.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from massannot import tables
from massannot.counts import counted
from massannot.dataset.card import card_text
from massannot.dataset.layout import Layout
from massannot.dataset.record import RunRecord, refuse_foreign_card, this_start
from massannot.errors import UsageError
from massannot.questions.scene_depth import keep_depth
from massannot.questions.scene_families import FAMILIES, SceneQuestion, ask_all
from massannot.questions.scene_story import OPTIONS, Story, seen_from, stories
from massannot.questions.sight_questions import described
from massannot.scenes.render import render
from massannot.scenes.world import HELD_OUT_SEEDS, SCENE_VERSION, Scene, make_scene
from massannot.storage.durable import write_over
from massannot.storage.parquet import write_parquet
from massannot.video.video_id import clip_id

Row = dict[str, Any]
Pixels = NDArray[np.uint8]

SCHEME = "scene:"
PICTURES = "pictures"
N_PICTURES = 4
_FILE = "scenes"
_LAST = "clips"  # a clip seen in the dataset is complete in every other table


def write_scene_questions(
    out: str | Path,
    *,
    seeds: Sequence[int],
    views: int = 1,
    names: Sequence[str] = (),
    seed: int = 0,
    depth_maps: bool = False,
) -> Counter[str]:
    """Write questions about the scenes of `seeds`; returns the number of each family, 0 where the
    balance leaves none. Equal arguments give equal bytes.

    The split is "test" for held-out seeds, else "train". `names`: of families; none: all. `seed`
    decides what balancing keeps. `depth_maps`: keep the thumbnails' depth, for `export geometry`.
    Raises UsageError for an unknown family, for seeds of both splits, for a folder that holds
    another dataset, and where the balance leaves nothing.
    """
    unknown = sorted(set(names) - set(FAMILIES))
    if unknown:
        raise UsageError(f"no family {unknown[0]!r}; families: {', '.join(FAMILIES)}")
    splits = {_split(number) for number in seeds}
    if len(splits) > 1:
        raise UsageError(
            f"seeds: found {seeds[0]}..{seeds[-1]}, which are of both splits, expected one side of "
            f"the held-out seeds {HELD_OUT_SEEDS.start}..{HELD_OUT_SEEDS.stop - 1}"
        )
    layout = Layout(Path(out))
    _refuse_other_tables(layout)
    refuse_foreign_card(layout)
    scenes = list(stories(seeds, views=views))
    questions = ask_all(scenes, names=names, seed=seed)
    if not questions:
        raise UsageError(
            f"scenes: found no balanced question about {counted(len(scenes), 'scene')}, "
            "expected some; ask about more seeds"
        )
    rows = _rows(scenes, questions)
    _draw(layout.out, scenes, questions, depth_maps=depth_maps)
    for name in sorted(rows, key=lambda name: (name == _LAST, name)):
        table = tables.spec(name).from_rows(rows[name])
        write_parquet(layout.published(name, _FILE), [table], spec=tables.spec(name))
    counts = {name: len(found) for name, found in sorted(rows.items())}
    write_over(layout.card, card_text(counts, record=_record(), license="apache-2.0").encode())
    found = Counter(dict.fromkeys(names or FAMILIES, 0))
    found.update(question.family for question in questions)
    return found


def picture_frames(n_frames: int) -> tuple[int, ...]:
    """The frames that have a thumbnail, evenly spaced, first and last among them."""
    return tuple(round(i * (n_frames - 1) / (N_PICTURES - 1)) for i in range(N_PICTURES))


def scene_pictures(folder: Path, clip_id: str, *, uri: str, frames: Sequence[int]) -> list[Pixels]:
    """(H, W, 3) each: from the file where it has them, else rendered. Raises UsageError for an
    address that is no scene's."""
    path = folder / PICTURES / f"{clip_id}.png"
    index_of = {frame: index for index, frame in enumerate(picture_frames(OPTIONS.n_frames))}
    if path.exists() and set(frames) <= set(index_of):
        with Image.open(path) as image:
            strip = np.asarray(image.convert("RGB")).reshape(N_PICTURES, -1, OPTIONS.width, 3)
        return [strip[index_of[frame]] for frame in frames]
    scene = scene_of(uri)
    return [render(scene, frame).rgb for frame in frames]


def scene_of(uri: str) -> Scene:
    """The scene, simulated again. Raises UsageError for an address that is no scene's."""
    try:
        seed, view = map(int, uri.removeprefix(SCHEME).split("/"))
    except ValueError as error:
        raise UsageError(f"found {uri!r}, expected scene:SEED/VIEW") from error
    scene = seen_from(make_scene(seed, OPTIONS), view)
    if scene is None:
        raise UsageError(f"{uri}: found no such side of the scene")
    return scene


def _refuse_other_tables(layout: Layout) -> None:
    """Every reader takes all files of a table for one dataset."""
    others = [path for path in layout.data.glob("*/*.parquet") if path.stem != _FILE]
    if others:
        raise UsageError(
            f"{layout.out}: found another dataset there ({min(others).relative_to(layout.out)}), "
            "expected a new folder, or one of `questions scenes`; name another folder"
        )


def _draw(
    folder: Path, scenes: Sequence[Story], questions: Sequence[SceneQuestion], *, depth_maps: bool
) -> None:
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    wanted = {(question.seed, question.view) for question in questions}
    for story in scenes:
        if (story.seed, story.view) in wanted and story.scene is not None:
            frames = picture_frames(len(story.t_s))
            shown = [render(story.scene, frame).rgb for frame in frames]
            path = folder / PICTURES / f"{_clip_row(story)['clip_id']}.png"
            Image.fromarray(np.concatenate(shown)).save(path)
            if depth_maps:
                keep_depth(path.with_suffix(".safetensors"), story, frames)


def _rows(scenes: Sequence[Story], questions: Sequence[SceneQuestion]) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = defaultdict(list)
    clip_ids = {}
    by_scene = {(story.seed, story.view): story for story in scenes}
    for story in scenes:
        clip = _clip_row(story)
        clip_ids[story.seed, story.view] = clip["clip_id"]
        rows["clips"].append(clip)
        rows["videos"].append(_video_row(clip))
        for name, found in _of_clip(story).items():
            rows[name] += [{"clip_id": clip["clip_id"], **row} for row in found]
    numbers: Counter[tuple[int, int]] = Counter()
    for question in questions:
        key = question.seed, question.view
        numbers[key] += 1
        question_id = f"{question.seed}-{question.view}-{numbers[key]}"
        rows["questions"].append(_question_row(question, by_scene[key], clip_ids[key], question_id))
    return rows


def _question_row(question: SceneQuestion, story: Story, clip_id: str, question_id: str) -> Row:
    family = FAMILIES[question.family]
    thinking = " ".join(f"{number:.2f}".replace("-0.00", "0.00") for number in question.numbers)
    return {
        "question_id": question_id,
        "uri": _uri(story),
        "clip_id": clip_id,
        "clip_ids": [clip_id],
        "question": question.text,
        "answer": question.answer,
        "category": question.family,
        "entities": [story.names[entity] for entity in question.entities],
        "split": _split(question.seed),
        "license": "apache-2.0",
        "problem_type": family.kind,
        "options": list(question.options) or None,
        "unit": family.unit if family.kind == "number" else None,
        "further": json.dumps({"thinking": thinking, "described": _described(story)}),
    }


def _described(story: Story) -> str:
    return described(story, picture_frames(len(story.t_s)))


def _clip_row(story: Story) -> Row:
    fps = OPTIONS.fps
    video_id = hashlib.blake2b(
        f"{SCENE_VERSION} {story.seed} {story.view} {OPTIONS}".encode(), digest_size=16
    ).hexdigest()
    n_frames = len(story.t_s)
    id_ = clip_id(
        video_id, first_pts=0, end_pts=n_frames, time_base=Fraction(1, fps), sampling="all"
    )
    return {
        "clip_id": id_,
        "video_id": video_id,
        "uri": _uri(story),
        "clip_index": 0,
        "first_pts": 0,
        "end_pts": n_frames,
        "time_base_num": 1,
        "time_base_den": fps,
        "t0_s": float(story.t_s[0]),
        "t1_s": float(story.t_s[-1]),
        "sampling": "all",
        "n_frames": n_frames,
        **{f"{which}_width": OPTIONS.width for which in ("source", "working")},
        **{f"{which}_height": OPTIONS.height for which in ("source", "working")},
        "scale_type": "metric",
        "camera_static": True,
        "noise_floor": 0.0,
        "noise_floor_p90": 0.0,
        "micro_batch": 0,
        "damaged": False,
    }


def _video_row(clip: Row) -> Row:
    return {
        **{name: clip[name] for name in ("uri", "video_id", "n_frames", "damaged")},
        **{name: clip[name] for name in ("time_base_num", "time_base_den")},
        "size_bytes": 0,
        "container": "scene",
        "codec": "scene",
        "width": clip["source_width"],
        "height": clip["source_height"],
        "rotation": 0,
        "sample_aspect_num": 1,
        "sample_aspect_den": 1,
        "color_space": "rgb",
        "color_range": "full",
        "first_pts": 0,
        "duration_s": clip["n_frames"] / OPTIONS.fps,
        "variable_rate": False,
        "license": "apache-2.0",
    }


def _of_clip(story: Story) -> dict[str, list[Row]]:
    """Rows of one clip without its id."""
    entities = range(len(story.names))
    last = len(story.t_s) - 1
    frames = [
        {"frame": frame, "pts": frame, "t_s": float(t_s), "keyframe": frame == 0, "damaged": False}
        for frame, t_s in enumerate(story.t_s)
    ]
    segments = [
        {"segment": number, "first_frame": first, "end_frame": end + (end == last), "kind": "fixed"}
        for number, (first, end) in enumerate(story.segments)
    ]
    phrases = [
        {"phrase": k, "text": story.names[k], "origin": "prompt", "n_entities": 1} for k in entities
    ]
    seen = {"first_frame": 0, "last_frame": last, "score": 1.0, "quality": 1.0}
    events = [
        {
            "event": number,
            "kind": "contact_begin",
            "rule": contact.kind,
            "entities": [contact.first]
            if contact.second is None
            else [contact.first, contact.second],
            "t_s": float(contact.t_s),
        }
        for number, contact in enumerate(sorted(story.contacts, key=lambda contact: contact.t_s))
    ]
    return {
        "frames": frames,
        "segments": segments,
        "phrases": phrases,
        "entities": [{"entity": k, "phrase": k, **seen} for k in entities],
        "motions": [
            _motion_row(story, entity, segment, reference)
            for entity in entities
            for segment in range(len(segments))
            for reference in ("camera", "world")  # the same: the camera stands still
        ],
        "events": events,
    }


def _motion_row(story: Story, entity: int, segment: int, reference: str) -> Row:
    first, last = story.segments[segment]
    path = story.centres_m[first : last + 1, entity]
    row: Row = {
        "entity": entity,
        "segment": segment,
        "reference": reference,
        "scale_type": "metric",
        "path": float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()),
        "t0_s": float(story.t_s[first]),
        "t1_s": float(story.t_s[last]),
        "quality": 1.0,
    }
    vectors: Mapping[str, Any] = {"first": path[0], "last": path[-1], "motion": path[-1] - path[0]}
    for name, vector in vectors.items():
        row |= {f"{name}_{axis}": float(x) for axis, x in zip("xyz", vector, strict=True)}
    return row


def _uri(story: Story) -> str:
    return f"{SCHEME}{story.seed}/{story.view}"


def _split(seed: int) -> str:
    return "test" if seed in HELD_OUT_SEEDS else "train"


def _record() -> RunRecord:
    return RunRecord(
        spec={"sampling": {"fps": None}},
        recipe={"recipe": "questions scenes"},
        notes=(f"Exact questions about scenes, version {SCENE_VERSION}; nothing was estimated.",),
        starts=(this_start(),),
    )
