"""A dataset in a few lines: entities by phrase, scale, noise and failures, with the files to look
at and the next command; and the texts of `massannot inspect`. The same facts as JSON for scripts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from massannot.counts import counted
from massannot.dataset import record as run_record
from massannot.dataset.grounds import NOTHING_STATED, QUALITIES, Grounds, grounds_of
from massannot.dataset.reading import ClipView, Dataset
from massannot.dataset.touching import n_frames_once
from massannot.errors import UsageError
from massannot.questions.profile import entity_names, motion_profile
from massannot.tables.motions import in_one_reference

_LIMITS = {
    "over_phrase_limit": "detect_phrases.max_per_phrase",
    "over_entity_limit": "propagate_masks.max_entities",
}
PROFILE_TABLES = ("clips", "frames", "segments", "phrases", "entities", "cameras", "positions",
                  "motions")  # fmt: skip


def find_clip(dataset: Dataset, beginning: str) -> ClipView:
    """The clip whose id begins so. Raises UsageError when none or several do."""
    matching = [clip_id for clip_id in dataset.clip_ids if clip_id.startswith(beginning)]
    if len(matching) != 1:
        raise UsageError(
            f"{dataset.layout.out}: {len(matching)} of "
            f"{counted(len(dataset.clip_ids), 'clip begins', many='clips begin')} with "
            f"{beginning!r}, expected one; `massannot inspect {dataset.layout.out}` lists them"
        )
    return dataset.clip(matching[0])


def dataset_json(dataset: Dataset) -> dict[str, Any]:
    return {
        "tables": {name: dataset.table(name).num_rows for name in dataset.names},
        "facts": facts(dataset).as_json(),
        "clips": [view.row for view in dataset.clips()],
    }


def dataset_text(dataset: Dataset) -> str:
    """Tables with their rows, then a line a clip."""
    rows = {name: dataset.table(name).num_rows for name in dataset.names}
    lines = [f"{name:<12}{counted(n, 'row', form='>10')}" for name, n in rows.items()]
    n_shots = _n_shots(dataset.table("clips"))
    lines += [] if n_shots is None else ["", f"clips lie in {counted(n_shots, 'shot')}"]
    things = _things(_n_identities(dataset), dataset.table("clips").num_rows)
    lines += [] if things is None else ["", things]
    lines += ["", *grounds_of(dataset).lines, ""]
    for view in list(dataset.clips())[:50]:
        row, entities = view.row, view.table("entities").num_rows
        lines.append(
            f"{view.clip_id[:12]}  {row['source_id'] or row['uri']}  {row['t0_s']:.2f}-"
            f"{row['t1_s']:.2f} s{_shot(row['shot'])}  {counted(row['n_frames'], 'frame')}  "
            f"{counted(entities, 'entity')}  scale {row['scale_type']}"
        )
    if len(dataset.clip_ids) > 50:
        lines.append(f"... and {counted(len(dataset.clip_ids) - 50, 'more clip')}")
    return "\n".join(lines)


def _shot(shot: int | None) -> str:
    return "" if shot is None else f"  shot {shot}"


def clip_json(view: ClipView, *, min_quality: float | None = None) -> dict[str, Any]:
    return {
        "clip": view.row,
        "phrases": view.table("phrases").to_pylist(),
        "entities": view.table("entities").to_pylist(),
        "motions": view.table("motions").to_pylist(),
        "motion_profile": profile(view, min_quality=min_quality),
    }


def clip_text(view: ClipView, *, min_quality: float | None = None) -> str:
    """The clip's row, its entities, its motion profile."""
    lines = [f"{name:<22}{_known(value)}" for name, value in view.row.items()]
    names = entity_names({name: view.table(name) for name in ("phrases", "entities")})
    for row in view.table("entities").to_pylist():
        lines += ["", f"entity {row['entity']}: {names[row['entity']]}"]
        basis = QUALITIES[row["quality_basis"] or "internal"]
        ground = "" if row["quality"] is None else f" ({basis})"
        skipped = ("clip_id", "entity", "quality_basis")
        lines += [
            f"  {name:<20}{_known(value)}{ground if name == 'quality' else ''}"
            for name, value in row.items()
            if name not in skipped
        ]
    lines += ["", profile(view, min_quality=min_quality)]
    return "\n".join(lines)


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)


def profile(view: ClipView, *, min_quality: float | None = None) -> str:
    tables = {name: view.table(name) for name in PROFILE_TABLES}
    return motion_profile(tables, template="mass-v2", min_quality=min_quality)


@dataclass(frozen=True)
class PhraseFound:
    text: str
    n_clips: int
    """Clips with this phrase."""
    n_found: int
    """Clips with an entity of it."""
    n_entities: int


@dataclass(frozen=True)
class Facts:
    """Counts and medians of a dataset."""

    n_clips: int
    n_frames: int
    """Those that two clips share counted once."""
    phrases: tuple[PhraseFound, ...]
    scale_types: Mapping[str, int]
    intrinsics_origins: Mapping[str, int]
    n_sized: int
    """Clips whose scale comes from things of known size."""
    n_static: int
    n_moving: int
    n_moving_posed: int
    """Of the moving ones, those whose camera poses are known."""
    noise_floor: float | None
    """Median over clips of the background's 3D path length a second, in the scale's unit."""
    above_noise: int
    n_motions: int
    """Motions, in the world where it is known, and how many exceed the noise."""
    failures: Mapping[str, int]
    given_boxes: Mapping[str, int] = field(default_factory=dict)
    """Of a person or a file: `used`, or the reason why one is no entity's."""
    over_limits: Mapping[str, int] = field(default_factory=dict)
    """Boxes of models beyond a limit, by reason."""
    n_shots: int | None = None
    """Of all videos together, those with a clip; None: shots were not looked for."""
    grounds: Grounds = NOTHING_STATED
    """Of intervals and qualities."""
    n_zooming: int = 0
    n_rolling: int = 0
    """Clips whose focal length was seen to change."""
    n_identities: int | None = None
    """Things of all videos together, each counted once however many clips show it; None: nobody
    says who is who over clips."""

    cuboids_alone: bool = False
    """Whether metres are those of given cuboids, and nobody says anything of depth."""

    def as_json(self) -> dict[str, Any]:
        """JSON values. The counts are plain dicts: asdict() counts a Counter's pairs anew."""
        return asdict(self)


def facts(dataset: Dataset) -> Facts:
    """Read the small tables of a dataset."""
    clips = dataset.table("clips")
    motions = in_one_reference(
        dataset.table_or_empty("motions").select(["clip_id", "reference", "above_noise"])
    )
    floors = [f for f in clips["noise_floor"].to_pylist() if f is not None]
    columns = ["clip_id", "intrinsics_origin", "pose_origin"]
    origins = dataset.table_or_empty("cameras").select(columns).to_pylist()
    posed = {row["clip_id"] for row in origins if row["pose_origin"] != "assumed"}
    static = dict(zip(clips["clip_id"].to_pylist(), clips["camera_static"].to_pylist()))
    boxes = dataset.table_or_empty("detections").select(["origin", "rejected"]).to_pylist()
    limits = Counter(r["rejected"] for r in boxes if (r["rejected"] or "") in _LIMITS)
    return Facts(
        n_clips=clips.num_rows,
        n_frames=n_frames_once(dataset),
        phrases=_phrases(dataset.table_or_empty("phrases")),
        scale_types=dict(Counter(s or "none" for s in clips["scale_type"].to_pylist())),
        intrinsics_origins=dict(
            Counter({row["clip_id"]: row["intrinsics_origin"] for row in origins}.values())
        ),
        n_sized=clips.num_rows - clips["size_scale"].null_count,
        n_static=list(static.values()).count(True),
        n_moving=list(static.values()).count(False),
        n_moving_posed=sum(static.get(clip_id) is False for clip_id in posed),
        noise_floor=float(np.median(floors)) if floors else None,
        above_noise=motions["above_noise"].to_pylist().count(True),
        n_motions=motions.num_rows,
        failures=dict(Counter(dataset.table_or_empty("failures")["class"].to_pylist())),
        given_boxes=dict(Counter(r["rejected"] or "used" for r in boxes if r["origin"] == "given")),
        over_limits=dict(limits),
        n_shots=_n_shots(clips),
        grounds=grounds_of(dataset),
        n_zooming=clips["camera_zooms"].to_pylist().count(True),
        n_rolling=clips["rolling_shutter"].to_pylist().count(True),
        n_identities=_n_identities(dataset),
        cuboids_alone=_cuboids_alone(dataset),
    )


def _cuboids_alone(dataset: Dataset) -> bool:
    record = run_record.read(dataset.layout)
    models = (record.spec or {}).get("models", {}) if record else {}
    return "cuboids" in models and "depth" not in models


def _n_identities(dataset: Dataset) -> int | None:
    """None: the dataset does not say who is who over clips."""
    if "identities" not in dataset.names:
        return None
    table = dataset.table("identities")
    names = (table[name].to_pylist() for name in ("video_id", "identity"))
    return len(set(zip(*names, strict=True)))


def _things(n_identities: int | None, n_clips: int) -> str | None:
    """'3 things in 4 clips', where it says more than the entities of each clip."""
    if not n_identities or n_clips < 2:
        return None
    return f"{counted(n_identities, 'thing')} in {counted(n_clips, 'clip')}"


def _n_shots(clips: pa.Table) -> int | None:
    pairs = zip(clips["video_id"].to_pylist(), clips["shot"].to_pylist(), strict=True)
    return len({pair for pair in pairs if pair[1] is not None}) or None


def as_text(
    known: Facts, *, out: Path, models: Sequence[str], notes: Sequence[str], looks: Sequence[str]
) -> str:
    """The summary for people. `models`: a line a job; `looks`: lines that say where to look."""
    lines = [*(f"NOTE: {note}" for note in notes), *([""] if notes else [])]
    shots = "" if known.n_shots is None else f" of {counted(known.n_shots, 'shot')}"
    frames = counted(known.n_frames, "frame")
    lines.append(f"{counted(known.n_clips, 'clip')}{shots}, {frames} in {out}")
    for phrase in known.phrases:
        clips = counted(phrase.n_clips, "clip")
        result = f"{phrase.n_entities} in {phrase.n_found} of {clips}"
        if not phrase.n_entities:
            result = f"never found in {clips}; try another word for it"
        lines.append(f"  {phrase.text!r}: {result}")
    if things := _things(known.n_identities, known.n_clips):
        lines.append(f"{things}; a thing that returns after a cut or a long absence counts anew")
    if known.given_boxes:
        parts = [f"{n} {reason}" for reason, n in sorted(known.given_boxes.items())]
        lines.append(f"given boxes in these frames: {', '.join(parts)}")
    if known.over_limits:
        parts = [f"{n} beyond {_LIMITS[reason]}" for reason, n in sorted(known.over_limits.items())]
        lines.append(f"LIMITS: boxes without an entity: {', '.join(parts)} (--set raises it)")
    lines += [f"models: {line}" for line in models]
    lines.append(f"scale: {_scale(known)}")
    lines.append(f"camera: {_camera(known)}")
    lines.append(f"noise: {_noise(known)}")
    lines += known.grounds.lines
    if known.failures:
        shown = ", ".join(f"{reason} {n}" for reason, n in sorted(known.failures.items()))
        lines.append(f"failed: {shown} (table failures)")
    return "\n".join([*lines, *looks])


def _scale(known: Facts) -> str:
    words = {
        "metric": "metres, from " + ("cuboids" if known.cuboids_alone else "the depth model"),
        "relative": "one unknown factor per clip; no metres",
        "affine": "inverse depth with unknown factor and offset: nothing was lifted to 3D",
        "none": "no depth",
    }
    parts = [
        f"{words[name]} ({counted(n, 'clip')})" for name, n in sorted(known.scale_types.items())
    ]
    if known.n_sized:
        parts.append(f"corrected by things of known size in {counted(known.n_sized, 'clip')}")
    origins = {
        "given": "field of view given",
        "assumed": "field of view ASSUMED: a wrong one scales x and y against z (--hfov DEGREES)",
        "estimated": "field of view estimated",
    }
    return "; ".join([*parts, *(origins[o] for o in sorted(known.intrinsics_origins))])


def _camera(known: Facts) -> str:
    unknown = known.n_clips - known.n_static - known.n_moving
    parts = [f"{counted(known.n_static, 'clip')} still", f"{known.n_moving} moving"]
    if unknown:
        parts.append(f"{unknown} could not be tested")
    if known.n_moving > known.n_moving_posed:
        parts.append("motions are in the moving camera's frame where its poses are not known "
                     "(--cameras FILE gives them)")  # fmt: skip
    if known.n_zooming:
        parts.append(f"{counted(known.n_zooming, 'clip')} with a zoom, whose poses are not "
                     "estimated")  # fmt: skip
    if known.n_rolling:
        parts.append(f"{counted(known.n_rolling, 'clip')} with a rolling shutter, whose poses are "
                     "estimated as if there were none")  # fmt: skip
    if known.n_moving_posed:
        parts.append(f"{counted(known.n_moving_posed, 'moving clip')} with known poses, in the "
                     "world's frame too")  # fmt: skip
    return ", ".join(parts)


def _noise(known: Facts) -> str:
    if known.noise_floor is None:
        return "unknown (too few background points)"
    unit = "m" if set(known.scale_types) == {"metric"} else "units"
    motions = counted(known.n_motions, "motion is", many="motions are")
    return (
        f"points that ought to stand still move {known.noise_floor:.3f} {unit} a second (median of "
        f"clips); {known.above_noise} of {motions} above their clip's noise"
    )


def _phrases(phrases: pa.Table) -> tuple[PhraseFound, ...]:
    n_clips: Counter[str] = Counter()
    n_found: Counter[str] = Counter()
    things: Counter[str] = Counter()
    once = phrases.group_by(["clip_id", "text"], use_threads=False)  # two questions, one text
    for row in once.aggregate([("n_entities", "max")]).to_pylist():
        n_clips[row["text"]] += 1
        n_found[row["text"]] += row["n_entities_max"] > 0
        things[row["text"]] += row["n_entities_max"]
    return tuple(PhraseFound(text, n, n_found[text], things[text]) for text, n in n_clips.items())
