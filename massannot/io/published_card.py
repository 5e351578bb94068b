"""The card of a published dataset: what any card says, and how the run ended, how noisy it is, and
the command that published it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from massannot.io import run_record
from massannot.io.card import card_text
from massannot.io.commits import LAST, Commit
from massannot.io.layout import Layout


def published_card(layout: Layout, found: Sequence[Commit], *, license: str | None) -> str:
    """Counts are those of the commits; the noise floors are read from the table `clips`."""
    record = run_record.read(layout)
    assert record is not None
    rows: Counter[str] = Counter()
    for commit in found:
        for file in commit.files:
            rows[file.table] += file.rows
    text = card_text(dict(sorted(rows.items())), record=record, license=license)
    return (
        f"{text}\n## Counts\n{_counts(found)}\n\n## Noise\n{_noise(layout, found)}\n\n"
        f"## Published by\n`{run_record.this_start().command}`\n"
    )


def _counts(found: Sequence[Commit]) -> str:
    done = sum(commit.clips_done for commit in found)
    lost: Counter[tuple[str, str]] = Counter()
    for commit in found:
        for failure in commit.failures:
            lost[failure.status, failure.reason] += failure.clips
    total = done + sum(lost.values())
    lines = [f"{total:,} clips = {done:,} done + {total - done:,} failed or quarantined."]
    lines += [f"* {status}: {n:,} x {reason}" for (status, reason), n in lost.most_common()]
    return "\n".join(lines)


def _noise(layout: Layout, found: Sequence[Commit]) -> str:
    """How far the background, which ought to stand still, moves a second."""
    floors: dict[str, list[float]] = {}
    for commit in found:
        columns = pq.read_table(
            layout.published(LAST, commit.shard),
            columns=["scale_type", "noise_floor"],
            partitioning=None,
        )
        for scale_type, floor in zip(*(column.to_pylist() for column in columns.columns)):
            if floor is not None:
                floors.setdefault(scale_type or "none", []).append(floor)
    if not floors:
        return "No clip has a noise floor: no background was tracked in 3D."
    return "\n".join(_sentence(scale, np.array(found)) for scale, found in sorted(floors.items()))


def _sentence(scale_type: str, floors: npt.NDArray[np.float64]) -> str:
    unit = " m" if scale_type == "metric" else ""
    return (
        f"* {scale_type}: background points that ought to stand still move "
        f"{np.median(floors):.3g}{unit} a second (median of {len(floors):,} clips; in a tenth of "
        f"them more than {np.quantile(floors, 0.9):.3g}{unit})"
    )
