"""`massannot review OUT --from`: what people changed in CVAT, as decisions of a reviewer, one a
changed clip.

A decision is a rejection with what was put right, as the page writes it: a line on the disk, about
the rows that were exported. The same file twice is the same decision. A clip of the reviewer's
sample stays in it.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from massannot.counts import counted
from massannot.dataset.reading import open_dataset
from massannot.dataset.reviews_of_run import Decision, ReviewFile, standing
from massannot.errors import UsageError
from massannot.exporters._cvat_changes import ChangedClip, changes_in
from massannot.jobs.review import own_name, refuse_others

_KINDS = ("box", "mask", "name", "remove")


@dataclass(frozen=True)
class TakenFile:
    """What came of one file."""

    path: Path
    n_clips: int
    changed: Mapping[str, Counter[str]]
    """Of each clip with a decision now how many fixes of which kind."""
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.path}: {len(self.changed)} of {counted(self.n_clips, 'clip')} changed"]
        for clip_id, kinds in self.changed.items():
            said = [
                counted(kinds[k], k) if k != "remove" else f"{counted(kinds[k], 'thing')} removed"
                for k in _KINDS
                if kinds[k]
            ]
            lines.append(f"  {clip_id}: {', '.join(said)}")
        return "\n".join([*lines, *(f"  {sentence}" for sentence in self.left_out)])

    @property
    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        changed = {clip_id: dict(sorted(kinds.items())) for clip_id, kinds in self.changed.items()}
        left_out = list(self.left_out)
        return {"file": str(self.path), "clips": self.n_clips, "changed": changed,
                "left_out": left_out}  # fmt: skip


def review_files(out: Path, *, source: Path, reviewer: str | None) -> list[TakenFile]:
    """`source`: XML of a film as CVAT exports it, or a folder of such. Every file is read before
    the first decision is written. Raises UsageError, see changes_in, and for what is no run."""
    dataset = open_dataset(out)
    refuse_others(dataset.layout)
    paths = sorted(source.glob("*.xml")) if source.is_dir() else [source]
    if not paths:
        raise UsageError(f"--from {source}: found no .xml, expected what CVAT exported")
    file = ReviewFile(dataset.layout, reviewer or own_name())
    found = [(path, changes_in(path, dataset)) for path in paths]
    stands = {d.clip_id: d for d in standing(file.read()) if d.kind == "clip"}
    taken = []
    for path, changes in found:
        for clip in changes.clips:
            _decide(file, clip, path, before=stands.get(clip.clip_id))
        kinds = {c.clip_id: Counter(fix["kind"] for fix in c.fixes) for c in changes.clips}
        taken.append(TakenFile(path, changes.n_clips, kinds, changes.left_out))
    return taken


def _decide(file: ReviewFile, clip: ChangedClip, path: Path, *, before: Decision | None) -> None:
    """`before`: what the reviewer decided about the clip, as it stands."""
    if before is not None and before.rows_hash == clip.rows_hash and before.fixes == clip.fixes:
        return
    values = {
        "request": uuid.uuid4().hex,
        "kind": "clip",
        "clip_id": clip.clip_id,
        "decision": "reject",
        "reason": _reason(clip.fixes),
        "note": f"from {path.name}",
        "fixes": list(clip.fixes),
    }
    file.add(
        values,
        rows_hash=clip.rows_hash,
        sample=None if before is None else before.sample,
        stratum=None if before is None else before.stratum,
    )


def _reason(fixes: Sequence[Mapping[str, Any]]) -> str:
    """Why the clip is rejected: what weighs most among what was put right."""
    if any(fix["entity"] is None or fix["entity"] < 0 for fix in fixes):
        return "missing_thing"
    return "wrong_thing" if {fix["kind"] for fix in fixes} & {"name", "remove"} else "mask"
