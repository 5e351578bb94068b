"""Calibrations made from finished datasets, and put into the tables of finished datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from massannot import tables
from massannot.counts import counted
from massannot.dataset import record as run_record
from massannot.dataset.reading import open_dataset
from massannot.dataset.record import RunRecord
from massannot.errors import UsageError
from massannot.evaluate.calibrate import LEAST_CLIPS, TrueClip, calibrate
from massannot.evaluate.known_truth import true_clips, truth_at
from massannot.geometry.calibration import Calibration
from massannot.recipes.calibrated import chosen_from, key_of
from massannot.recipes.spec import RunSpec
from massannot.stages._evidence import position_evidence
from massannot.stages.state_intervals import StateIntervals, stated
from massannot.tables._spec import INTERVAL_LEVELS


@dataclass(frozen=True)
class Made:
    """A calibration, and how often intervals of one half of its clips hold the truth of the
    other."""

    calibration: Calibration
    crossed: Mapping[str, Mapping[str, float]]
    """Axis and level, of positions, to the share observed; empty: too few clips for two halves."""

    def as_text(self) -> str:
        clips = self.calibration.n_clips
        lines = [f"{counted(clips, 'clip')} with truth: {self.calibration.truth}", ""]
        if not self.crossed:
            least = counted(2 * LEAST_CLIPS, "clip")
            return "\n".join([*lines, f"observed: not known below {least}"])
        lines.append(_HEAD)
        for axis, shares in self.crossed.items():
            cells = "".join(f"{100 * share:>10.1f}" for share in shares.values())
            lines.append(f"position {axis}  {cells}")
        return "\n".join(lines)


_HEAD = "observed, %  " + "".join(f"{f'at {level}':>10}" for level in INTERVAL_LEVELS)


def calibration_of(
    out: Path,
    truth: Path,
    *,
    name: str,
    limit: int | None = None,
    progress: Callable[[str], None] = lambda uri: None,
) -> Made:
    """The calibration of a dataset whose clips have a truth.

    Raises UsageError for a dataset whose rows say nothing about 3D, for a truth of other videos,
    and for too few clips.
    """
    dataset = open_dataset(out)
    key = key_of_record(run_record.required(dataset.layout))
    known = truth_at(truth)
    clips = []
    for clip in true_clips(dataset, known, limit=limit):
        clips.append(clip)
        progress(str(clip.tables.table("clips")["uri"][0].as_py()))
    if not clips:
        raise UsageError(
            f"--truth {truth}: none of {counted(len(dataset.clip_ids), 'clip')} of {out} is in it "
            f"({known.text})"
        )
    calibration = calibrate(clips, name=name, key=key, truth=known.text)
    return Made(calibration, crossed_coverage(clips))


def key_of_record(record: RunRecord) -> dict[str, object]:
    """The key of the run that a record tells of. Raises UsageError where its weights are gone."""
    spec = RunSpec.from_json({**record.spec, "calibration": "none"})
    key = key_of(spec.pipeline(), spec)
    if key is None:
        raise UsageError("calibration: the run's weights are no longer on this machine")
    return key


def crossed_coverage(clips: list[TrueClip]) -> dict[str, dict[str, float]]:
    """Coverage of positions, each half of the clips with the calibration of the other; empty where
    a half is too small for one."""
    held: dict[tuple[str, int], list[float]] = {}
    for fitted, tested in ((clips[::2], clips[1::2]), (clips[1::2], clips[::2])):
        try:
            calibration = calibrate(fitted, name="half", key={}, truth="")
        except UsageError:
            continue
        for clip in tested:
            evidence = position_evidence(clip.tables, n_frames=clip.n_frames)
            rows = clip.matched & evidence.placed & np.isfinite(clip.surface[:, 0])
            rows &= clip.counts(evidence)
            if not rows.any():
                continue
            table = stated(clip.tables, calibration)["positions"]
            for i, axis in enumerate("xyz"):
                missed = np.abs(evidence.xyz - clip.surface)[rows, i]
                for level in INTERVAL_LEVELS:
                    column = table[f"{axis}_half_{level}"].to_numpy(zero_copy_only=False)
                    half = np.nan_to_num(column.astype(np.float64)[rows], nan=np.inf)
                    held.setdefault((axis, level), []).append(float((missed <= half).mean()))
    if not held:
        return {}
    return {
        axis: {str(level): float(np.mean(held[axis, level])) for level in INTERVAL_LEVELS}
        for axis in "xyz"
    }


@dataclass(frozen=True)
class Restated:
    """The certainty of finished tables, stated again with a calibration: see dataset/publish.py."""

    name: str | None
    sha256: str | None
    _calibration: Calibration | None

    @classmethod
    def of(cls, path: Path, record: RunRecord) -> Restated:
        """Raises UsageError for a file that is no calibration, or one of another run's key."""
        chosen = chosen_from(path, key_of_record(record))
        return cls(chosen.name, chosen.sha256, chosen.content)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that it changes."""
        return StateIntervals.writes

    def rows(self, name: str, read: Callable[[str], pa.Table]) -> Iterator[pa.Table]:
        """One shard's rows of table `name`, clip by clip; `read` gives the shard's tables."""
        shard = {table: read(table) for table in _NEEDED}
        for clip_id in shard["clips"]["clip_id"].to_pylist():
            clip = _Rows({table: _of_clip(rows, clip_id) for table, rows in shard.items()})
            restated = stated(clip, self._calibration)[name]
            if restated.num_rows:
                yield tables.spec(name).checked(restated)


_NEEDED = tuple(sorted({*StateIntervals.reads} - {"depth"}))


@dataclass(frozen=True)
class _Rows:
    """A clip of finished tables."""

    of_table: Mapping[str, pa.Table]

    def table(self, name: str) -> pa.Table:
        return self.of_table[name]


def _of_clip(table: pa.Table, clip_id: str) -> pa.Table:
    return table.filter(pc.equal(table["clip_id"], clip_id))
