"""The dataset card, `OUT/README.md`: makes the folder load, table by table, as it lies.

Its YAML head has one `configs:` entry a table, which is all that `datasets`, the Hub and its viewer
need. Features are stated too, because a table may be empty.

The card of a published dataset: what any card says, and how the run ended, how noisy it is, and
the command that published it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from massannot import tables
from massannot.counts import counted
from massannot.dataset import commits
from massannot.dataset import record as run_record
from massannot.dataset.acceptance import Reviewed
from massannot.dataset.commits import LAST, Commit
from massannot.dataset.copies import Copies
from massannot.dataset.grounds import NOTHING_STATED, Grounds, grounds_of
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset, spec_in
from massannot.dataset.steps import AddedPhrases, read_steps
from massannot.dataset.table_steps import added_tables
from massannot.storage import durable
from massannot.storage.parquet import read_columns
from massannot.tables._spec import TableSpec


def published_card(
    layout: Layout,
    found: Sequence[Commit],
    target: Layout,
    *,
    license: str | None,
    copies: Copies | None = None,
    looked: Reviewed | None = None,
    accepted_only: bool = False,
    made: Mapping[str, int] = MappingProxyType({}),
) -> str:
    """Counts are those of the commits; the noise floors are read from the table `clips`, the
    grounds from the published files in `target`, which may be of another calibration. `made`: rows
    of tables that publishing made."""
    record = run_record.read(layout)
    assert record is not None
    rows: Counter[str] = Counter()
    for commit in found:
        for file in commit.files:
            rows[file.table] += file.rows
    rows.update(made)
    text = card_text(
        dict(sorted(rows.items())),
        record=record,
        license=license,
        specs=_specs(layout, rows),
        grounds=grounds_of(Dataset(target)),
        steps=read_steps(layout),
        added=added_tables(layout),
    )
    return (
        f"{text}\n## Counts\n{_counts(found)}{_copies(copies)}\n\n"
        f"{accepted_section(looked, 'clips', accepted_only=accepted_only)}"
        f"## Noise\n{_noise(layout, found)}\n\n"
        f"## Published by\n`{run_record.this_start().command}`\n"
    )


def accepted_section(looked: Reviewed | None, what: str, *, accepted_only: bool) -> str:
    """What people found who looked at a sample of clips or questions; of how many the rest is,
    nobody says."""
    if looked is None:
        return ""
    only = f"This dataset holds the accepted {what} alone.\n" if accepted_only else ""
    by = f"By people; 95 % intervals.\n{only}"
    return f"## Accepted\n{by}{_lines(f'* {line}' for line in looked.lines)}\n\n"


def _copies(copies: Copies | None) -> str:
    if copies is None or not copies.n_copies:
        return ""
    are = counted(copies.n_copies, "video is a byte copy", many="videos are byte copies", form=",")
    lines = [f"{are} of others, named in `videos.same_as`"]
    lines += [line for line in (copies.unasked_line,) if line is not None]
    return "".join(f"\n* {line}" for line in lines)


def _counts(found: Sequence[Commit]) -> str:
    done = sum(commit.clips_done for commit in found)
    lost: Counter[tuple[str, str]] = Counter()
    for commit in found:
        for failure in commit.failures:
            lost[failure.status, failure.reason] += failure.clips
    total = done + sum(lost.values())
    clips = counted(total, "clip", form=",")
    lines = [f"{clips} = {done:,} done + {total - done:,} failed or quarantined."]
    lines += [f"* {status}: {n:,} x {reason}" for (status, reason), n in lost.most_common()]
    return "\n".join(lines)


def _noise(layout: Layout, found: Sequence[Commit]) -> str:
    """How far the background, which ought to stand still, moves a second."""
    floors: dict[str, list[float]] = {}
    for commit in found:
        path = layout.published(LAST, commit.shard)
        columns = read_columns(path, ["scale_type", "noise_floor"])
        for scale_type, floor in zip(*(column.to_pylist() for column in columns.columns)):
            if floor is not None:
                floors.setdefault(scale_type or "none", []).append(floor)
    if not floors:
        return "No clip has a noise floor: no background was tracked in 3D."
    return "\n".join(
        _floor_sentence(scale, np.array(found)) for scale, found in sorted(floors.items())
    )


def _floor_sentence(scale_type: str, floors: npt.NDArray[np.float64]) -> str:
    unit = " m" if scale_type == "metric" else ""
    return (
        f"* {scale_type}: background points that ought to stand still move "
        f"{np.median(floors):.3g}{unit} a second (median of "
        f"{counted(len(floors), 'clip', form=',')}; "
        f"in a tenth of them more than {np.quantile(floors, 0.9):.3g}{unit})"
    )


DEFAULT_TABLE = "clips"
STRICTEST = ("untagged", "-nc", "other", "gpl", "cc-by-sa", "cc-by")
"""Parts of licences' names, the strictest first; whatever has none of them is permissive."""


def write_card(layout: Layout, *, license: str | None = None) -> None:
    """Write the card from the commits and the run's record; nothing when no shard is finished."""
    rows: Counter[str] = Counter()
    for commit in commits.read_all(layout):
        for file in commit.files:
            rows[file.table] += file.rows
    record = run_record.read(layout)
    if rows and record is not None:
        specs = _specs(layout, rows)
        text = card_text(
            dict(sorted(rows.items())),
            record=record,
            license=license,
            specs=specs,
            grounds=grounds_of(Dataset(layout)),
            steps=read_steps(layout),
            added=added_tables(layout),
        )
        durable.write_over(layout.card, text.encode())


def _specs(layout: Layout, names: Iterable[str]) -> dict[str, TableSpec]:
    return {name: spec_in(layout, name) for name in names}


def card_text(
    rows: Mapping[str, int],
    *,
    record: run_record.RunRecord,
    license: str | None,
    specs: Mapping[str, TableSpec] | None = None,
    grounds: Grounds = NOTHING_STATED,
    steps: Sequence[AddedPhrases] = (),
    added: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The card of a dataset with `rows` rows in each of its tables, all of them in `data/`.
    `license`: the dataset's own; without one the card has the strictest of the weights'. `specs`:
    of the tables; None: all of them are ours. `grounds`: of its intervals and qualities. `steps`:
    what was asked besides. `added`: tables that were added, with the command."""
    if specs is None:
        specs = {name: tables.spec(name) for name in rows}
    tag = license or strictest_license(record.weights)
    head = [
        "---",
        *([f"license: {'unknown' if tag == 'untagged' else tag}"] if tag else []),
        "task_categories:",
        "- object-detection",
        "- video-text-to-text",
        "configs:",
        *(line for name in rows for line in _config(name)),
        "dataset_info:",
        *(line for name in rows for line in _features(specs[name])),
        "---",
    ]
    return "\n".join(head) + "\n" + _body(rows, record, specs, grounds, _besides(steps, added))


def strictest_license(weights: Iterable[run_record.LoadedWeights]) -> str:
    """Of all weights that took part; empty: none did, or only the user's own files. Weights
    without a tag count as the strictest."""
    tags = {w.license.split(" ")[0].lower() for w in weights if w.weights and w.license}
    return min(tags, key=lambda tag: (_strictness(tag), tag), default="")


def _strictness(tag: str) -> int:
    return next((n for n, part in enumerate(STRICTEST) if part in tag), len(STRICTEST))


def _config(name: str) -> list[str]:
    return [
        f"- config_name: {name}",
        f"  data_files: data/{name}/*.parquet",
        *(["  default: true"] if name == DEFAULT_TABLE else []),
    ]


def _features(spec: TableSpec) -> list[str]:
    lines = [f"- config_name: {spec.name}", "  features:"]
    for column in spec.columns:
        kind = column.type
        if pa.types.is_list(kind):
            lines += [f"  - name: {column.name}", f"    list: {_dtype(kind.value_type)}"]
        else:
            lines += [f"  - name: {column.name}", f"    dtype: {_dtype(kind)}"]
    return lines


def _dtype(kind: pa.DataType) -> str:
    names = {pa.float32(): "float32", pa.float64(): "float64"}
    return names.get(kind, str(kind))


def _body(
    rows: Mapping[str, int],
    record: run_record.RunRecord,
    specs: Mapping[str, TableSpec],
    grounds: Grounds,
    besides: str,
) -> str:
    videos = counted(rows.get("videos", 0), "video", form=",")
    clips = counted(rows.get(DEFAULT_TABLE, 0), "clip", form=",")
    return f"""# Perception annotations of {videos}

{clips}, annotated by recipe `{record.recipe.get("recipe", "")}`\
{_of_profile(record)}, {_sampling(record)}{_prompts(record.phrases)}.

```python
from datasets import load_dataset
masks = load_dataset("THIS/FOLDER", "masks", split="train")   # any table below

from massannot import open_dataset
tracks = open_dataset("THIS/FOLDER").clip(CLIP_ID).tracks()   # numpy: tracks.xyz is (T, N, 3)
```

| table | rows | one row is |
|---|---|---|
{_lines(f"| {name} | {n:,} | {_sentence(specs[name])} |" for name, n in rows.items())}

Every column's meaning, unit and frame of reference stand in the Parquet files' own metadata.
{_empty([name for name, n in rows.items() if n == 0])}{_certainty(grounds)}
## Models
{_models(record)}
{_lines(f"* {note}" for note in record.notes)}

## Made by
{_made_by(record.starts)}
{besides}"""


def _empty(names: Sequence[str]) -> str:
    """`datasets` refuses a split without rows unless it streams."""
    if not names:
        return ""
    listed = ", ".join(f"`{name}`" for name in names)
    return f"Without rows: {listed}; `load_dataset` wants `streaming=True` for these.\n"


def _certainty(grounds: Grounds) -> str:
    """How sure the numbers are, and on which ground."""
    if not grounds.lines:
        return ""
    used = ""
    if grounds.calibration:
        used = f"\n* calibration: `{grounds.calibration}`, sha256 {grounds.sha256}"
    return f"\n## Certainty\n{_lines(f'* {line}' for line in grounds.lines)}{used}\n"


def _of_profile(record: run_record.RunRecord) -> str:
    return f" with profile `{record.profile}`" if record.profile else ""


def _sampling(record: run_record.RunRecord) -> str:
    return "every frame" if record.fps is None else f"{record.fps:g} frames a second at most"


def _prompts(prompts: Sequence[str]) -> str:
    return ", asked for " + ", ".join(f"`{text}`" for text in prompts) if prompts else ""


def _models(record: run_record.RunRecord) -> str:
    with_weights = [w for w in record.weights if w.weights]
    if not with_weights:
        return "No model with weights took part.\n"
    named = _lines(
        f"* {w.name}: {f'{w.weights} {w.revision}'.strip()}, sha256 {w.sha256[:16]}, "
        f"licence {w.license or 'not stated'}" + (f"; {w.note}" if w.note else "")
        for w in with_weights
    )
    strictest = strictest_license(with_weights)
    moved = precision_line(record.deviations)
    return (named + (f"\n* {moved}" if moved else "")) + (
        f"\n\nThe strictest of these licences: {strictest}. Whether it binds what the weights "
        "answered is for you to judge.\n"
        if strictest
        else "\n"
    )


_MOVED = {
    "detect": "boxes by {:.2g} pixels",
    "masks": "{:.2g} % of the pixels of masks",
    "depth": "depth by {:.2g} %",
    "second_depth": "the second depth by {:.2g} %",
    "cameras": "the focal length by {:.2g} %",
    "tracks": "points by {:.2g} pixels",
}


def precision_line(deviations: Sequence[run_record.Deviation]) -> str:
    """What a run's lower precision moves; empty: it has none, or nobody measured."""
    if not deviations:
        return ""
    moved = (
        _MOVED[one.job].format(one.value if one.measure == "moved_px" else 100 * one.value)
        for one in deviations
    )
    names = " and ".join(dict.fromkeys(one.dtype for one in deviations))
    return (
        f"in {names}, beside float32 on a rendered clip, medians: {', '.join(moved)} "
        f"({deviations[0].device})"
    )


def _made_by(starts: Sequence[run_record.Start]) -> str:
    """The first command, which decided the rows; retries and shares only continued it."""
    if not starts:
        return ""
    first, later = starts[0], len(starts) - 1
    installed = ", ".join(f"{name} {version}" for name, version in first.versions.items())
    more = f"; continued by {counted(later, 'other command')}" if later else ""
    return f"`{first.command}`, with {installed}{more}"


def _besides(steps: Sequence[AddedPhrases], added: Mapping[str, str]) -> str:
    """Phrases that were added to the finished dataset, step by step, and tables."""
    text = ""
    if steps:
        asked = (f"`{'`, `'.join(step.phrases)}`, by `{step.command}`" for step in steps)
        listed = _lines(f"{number}. {line}" for number, line in enumerate(asked, start=1))
        text = f"\nThen asked for besides, without a change of the rows before:\n\n{listed}\n"
    if added:
        listed = _lines(f"* `{name}`, by `{command}`" for name, command in added.items())
        text += f"\nMade afterwards from the rows before, without video or model:\n\n{listed}\n"
    return text


def _sentence(spec: TableSpec) -> str:
    return spec.doc.removeprefix("One row per ").rstrip(".")


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)
