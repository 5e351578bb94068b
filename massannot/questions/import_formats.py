"""Formats of published question sets: a row of each as a row of a manifest.

A format is told by its columns, the most telling first. Column names are compared in small letters.
A format's function changes what renaming alone does not: where a video lies, which option is
right, what makes an id unique. What a function does not name is carried through.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from massannot.errors import BadQuestion, UsageError
from massannot.inputs.cells import Cells
from massannot.inputs.manifest import KNOWN
from massannot.storage.json_text import parsed_cell

Row = dict[str, Any]


class NotAboutAVideo(BadQuestion):
    """A row about an image or a text."""

    reason = "not_about_a_video"


@dataclass(frozen=True)
class Format:
    name: str
    telling: frozenset[str]
    """Columns that only this format has together."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Its columns, and a manifest's in their place."""
    change: Callable[[Row], Row] = lambda row: row
    """The row after renaming, as a manifest has it. Raises BadQuestion."""


def format_of(columns: set[str]) -> Format | None:
    return next((each for each in FORMATS.values() if each.telling <= columns), None)


def manifest_row(cells: Cells, form: Format, *, mapped: Mapping[str, str]) -> Row:
    """The row as a manifest has it. `mapped`: a manifest's column, and the path of the cell that
    becomes it. Raises BadQuestion for a row that the format refuses."""
    row = {form.names.get(name, name): value for name, value in cells.items()}
    row |= {name: at_path(cells, path) for name, path in mapped.items()}
    row = form.change(row)
    if "options" not in row:
        row = _renamed(row, next((name for name in _OPTIONS if name in row), ""), "options")
    row = _with_choice(row)
    if isinstance(row.get("question"), str):  # a prompt's placeholder is no part of a question
        row["question"] = re.sub(r"^(?:<(?:video|image)>\s*)+", "", row["question"])
    return {name: value for name, value in row.items() if value is not None}


_OPTIONS = ("candidates", "choices")


def parse_map(pairs: Sequence[str]) -> dict[str, str]:
    """From "question=problem_text". Raises UsageError for another form, and for a column that
    manifests do not have."""
    mapped = {}
    for pair in pairs:
        name, found, path = pair.partition("=")
        if not found or not path or name not in KNOWN:
            raise UsageError(
                f"--map {pair}: expected OURS=THEIRS, with OURS one of {', '.join(sorted(KNOWN))}"
            )
        mapped[name] = path.strip().lower()
    return mapped


def at_path(cells: Any, path: str) -> Any:
    """The value of a column, or of "column.key.0", inside lists and objects; None where there is
    none."""
    if isinstance(cells, Mapping) and path in cells:
        return cells[path]
    first, _, rest = path.partition(".")
    if isinstance(cells, Mapping):
        value = {str(key).lower(): item for key, item in cells.items()}.get(first)
    elif isinstance(cells, list) and first.isdigit() and int(first) < len(cells):
        value = cells[int(first)]
    else:
        return None
    return at_path(value, rest) if rest else value


def options_of(value: Any) -> tuple[list[Any], list[str]] | None:
    """Options, and the key of each where they are a mapping; None for a value that is neither a
    list nor a mapping. Text may be JSON or a Python list."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        with contextlib.suppress(ValueError):
            value = parsed_cell(value)
    if isinstance(value, Mapping):
        given = {str(key): text for key, text in value.items() if text is not None}
        keys = sorted(given, key=lambda key: (len(key), key))
        return [given[key] for key in keys], keys
    if isinstance(value, list | tuple):
        return list(value), []
    return None


def _with_choice(row: Row) -> Row:
    """The row with a list of options, and an answer that is a letter where it was a key."""
    read = options_of(row.get("options"))
    if read is None:
        return row
    options, keys = read
    answer = row.get("answer")
    if keys and not isinstance(answer, list) and str(answer) in keys:
        answer = _LETTERS[keys.index(str(answer))]
    return {**row, "options": options, "answer": answer}


def _renamed(row: Row, old: str, new: str) -> Row:
    return {new if name == old else name: value for name, value in row.items()}


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _film(name: Any) -> str | None:
    """The name of a video, with .mp4 where it has no ending."""
    if name is None:
        return None
    text = str(name)
    return text if PurePosixPath(text).suffix[1:].isalnum() else f"{text}.mp4"


def _vsi_bench(row: Row) -> Row:
    number = row.get("category") in _VSI_NUMBERS
    scene = {"dataset": row.pop("dataset", None), "scene_name": row.pop("scene_name", None)}
    video = f"{scene['dataset']}/{scene['scene_name']}.mp4" if all(scene.values()) else None
    judged = {"problem_type": "number", "accuracy": "mean_relative_accuracy"} if number else {}
    return {**row, **scene, "video": video, **judged}


_VSI_NUMBERS = (
    "object_abs_distance",
    "object_counting",
    "object_size_estimation",
    "room_size_estimation",
)


def _sti_bench(row: Row) -> Row:
    """Ids count within a video."""
    return {**row, "id": f"{row.get('video')}#{row['id']}" if "id" in row else None}


def _dsr_bench(row: Row) -> Row:
    return {**row, "video": _film(row.get("video"))}


def _vlm4d(row: Row) -> Row:
    """Videos are addresses on a hub; here they lie in a folder as they do there."""
    video = row.get("video")
    if isinstance(video, str) and video.startswith(("http://", "https://")):
        path = urlsplit(video).path.lstrip("/")
        video = re.sub(r"^.*?/(?:resolve|blob)/[^/]+/", "", path)
    return {**row, "video": video}


def _next_qa(row: Row) -> Row:
    """The answer is the number of an option, from 0; ids count within a video."""
    options = [row.pop(f"a{n}", None) for n in range(5)]
    video = row.get("video")
    given = {"video": _film(video), "id": f"{video}_{row['qid']}" if "qid" in row else None}
    if any(option is None for option in options):
        return {**row, **given}  # open-ended
    answer = str(row.get("answer", ""))
    right = answer.isdigit() and int(answer) < len(options)
    letter = _LETTERS[int(answer)] if right else f"number {answer}"  # refused as no option
    return {**row, **given, "options": options, "answer": letter if answer else None}


def _video_r1(row: Row) -> Row:
    """Without the tags around the answer."""
    if row.get("data_type", "video") != "video":
        raise NotAboutAVideo(f"found data_type {row['data_type']!r}, expected video")
    answer = row.get("answer")
    match = re.fullmatch(r"\s*<answer>(.*)</answer>\s*", str(answer or ""), re.DOTALL)
    return {**row, "answer": match[1].strip() if match else answer}


FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format(
            "vsi-bench",
            frozenset({"scene_name", "question_type", "ground_truth"}),
            {"ground_truth": "answer", "question_type": "category"},
            _vsi_bench,
        ),
        Format(
            "sti-bench",
            frozenset({"video", "candidates", "time_start", "time_end"}),
            {"candidates": "options", "task": "category"},
            _sti_bench,
        ),
        Format(
            "dsr-bench",
            frozenset({"videoid", "question", "options"}),
            {"videoid": "video", "task_type": "category", "type": "category"},
            _dsr_bench,
        ),
        Format(
            "dsr-bench-tsv",
            frozenset({"video", "question", "options", "task_type"}),
            {"index": "id", "task_type": "category"},
            _dsr_bench,
        ),
        Format(
            "vlm4d",
            frozenset({"video", "question", "choices", "question_type"}),
            {"choices": "options"},
            _vlm4d,
        ),
        Format(
            "next-qa", frozenset({"video", "qid", "frame_count"}), {"type": "category"}, _next_qa
        ),
        Format(
            "video-r1",
            frozenset({"problem", "path"}),
            {
                "problem_id": "id",
                "path": "video",
                "problem": "question",
                "solution": "answer",
                "data_source": "category",
            },
            _video_r1,
        ),
        Format(
            "videohallu",
            frozenset({"video_path", "question"}),
            {
                "rowid": "id",
                "video_path": "video",
                "prompt": "caption",
                "categorization-1": "category",
            },
        ),
        Format("plain", frozenset({"video", "question"})),
    )
}
