"""The coverage of the shipped calibrations, as tables of docs/accuracy.md.

Read are the JSON objects that `massannot evaluate --json` prints, one a profile and ground.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.marked_places import write_place

PAGE = Path(__file__).parent.parent / "docs" / "accuracy.md"
_KINDS = (
    ("position", "x", "position x, m"),
    ("position", "y", "position y, m"),
    ("position", "z", "position z, m"),
    ("motion", "x", "motion x, m"),
    ("motion", "y", "motion y, m"),
    ("motion", "z", "motion z, m"),
    ("motion_length", "length", "length of a motion, m"),
    ("path", "length", "path, m"),
    ("speed", "length", "speed, m/s"),
)
_SCORES = (
    ("positions", "median_error_found_m", "position of a found thing, median error, m"),
    ("motions", "median_error_still_camera_m", "displacement, camera still, median error, m"),
    ("motions", "path_median_bias_m", "path, median error with its sign, m"),
    ("motions", "path_median_error_m", "path, median error, m"),
    ("quality", "auc_error_twice_median", "quality: AUC for an error above twice the median"),
    ("quality", "largest_gap_points", "quality: largest gap of five groups, points"),
)


def write_page(evaluations: Mapping[str, Mapping[str, Any]], *, seeds: str) -> None:
    """Put the tables of evaluations, by heading, into the page."""
    about = (
        f"Rendered scenes that no fit has seen, seeds {seeds}, lens and poses given, half of the "
        "cameras moving. Per cent of true values inside the stated interval; 95 % intervals by "
        "bootstrap over clips."
    )
    parts = [line for heading, scores in evaluations.items() for line in _part(heading, scores)]
    write_place(PAGE, "coverage", "\n".join([about, *parts]))


def _part(heading: str, evaluation: Mapping[str, Any]) -> Iterator[str]:
    rows = {
        (row["what"], row["axis"], row["nominal"]): row
        for row in evaluation["coverage"]
        if row["subgroup"] == "all"
    }
    n_clips = max(row["n_clips"] for row in rows.values())
    yield from ("", f"**{heading}**, {n_clips} clips:", "")
    yield "| | at 50 | at 68 | at 90 | mean full width at 90 |"
    yield "|---|---|---|---|---|"
    for what, axis, name in _KINDS:
        cells = [_share(rows[what, axis, level]) for level in (50, 68, 90)]
        yield (
            f"| {name} | "
            + " | ".join([*cells, f"{rows[what, axis, 90]['mean_width']:.2g}"])
            + " |"
        )
    judged = [row for row in evaluation["coverage"] if row["subgroup"] != "all" and row["judged"]]
    outside = "; ".join(sorted(_outside(judged))) or "none"
    found = f"outside of 82 to 97 at 90 % lie {outside}" if judged else "there are none"
    yield from ("", f"Subgroups of 100 clips or more: {found}.", "")
    yield "| score | measured |"
    yield "|---|---|"
    scores = {(row["stage"], row["metric"]): row for row in evaluation["scores"]}
    for stage, metric, name in _SCORES:
        row = scores[stage, metric]
        yield f"| {name} | {row['value']:.2g} [{row['low']:.2g}, {row['high']:.2g}] |"


def _share(row: Mapping[str, Any]) -> str:
    return f"{row['observed']:.0f} [{row['lo']:.0f}, {row['hi']:.0f}]"


def _outside(coverage: list[Mapping[str, Any]]) -> Iterator[str]:
    """Subgroups whose interval has no part in 82..97."""
    for row in coverage:
        if row["nominal"] == 90 and (row["hi"] < 82 or row["lo"] > 97):
            yield f"{row['what']} {row['axis']}, {row['subgroup']}: {_share(row)}"
