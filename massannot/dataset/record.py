"""Run record: `_run/run.json` says what made this folder, so that nothing else is added to it.

What decides the rows (recipe, options, models, prompts, sampling, weights) is compared at every
start; another is refused and the difference shown. Commands and versions are kept to read later.

Many jobs start at once, on many machines, and a bucket knows no locks: so each file is written
once, the first writer wins, and nothing is changed. `run.json` holds the first start,
`starts/NNNNNN.json` each later one that differs from all before it, `weights.json` what the first
worker loaded.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from massannot.dataset.layout import Layout
from massannot.errors import OtherRecipe
from massannot.storage import durable
from massannot.storage.store import without_secrets

PACKAGES = (
    "massannot",
    "numpy",
    "pyarrow",
    "av",
    "torch",
    "transformers",
    "opencv-python-headless",
)

ABSENT = "(none)"


@dataclass(frozen=True)
class Weights:
    """A model's card, see protocols.ModelCard."""

    name: str
    weights: str
    revision: str
    sha256: str
    license: str
    n_parameters: int


@dataclass(frozen=True)
class Identity:
    """What decides the rows. `recipe` is Pipeline.describe()."""

    recipe: Mapping[str, Any]
    sampling: str
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class Start:
    """One start of a run: the command without credentials, and what was installed."""

    command: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class RunRecord:
    identity: Identity
    digest: str
    """Pipeline.digest."""
    notes: tuple[str, ...] = ()
    """Pipeline.notes: which answers are oracles', which weights are not for real video."""
    weights: tuple[Weights, ...] = ()
    """Empty until a worker has loaded them."""
    starts: tuple[Start, ...] = field(default_factory=tuple)
    """Those that differ, in order: a thousand jobs of an array with one command are one."""


def begin(layout: Layout, asked: RunRecord) -> RunRecord:
    """The folder's record with this start in it. Raises OtherRecipe for a folder of another one."""
    start = this_start()
    known = read(layout)
    if known is None:
        durable.write_once(layout.record, _text(replace(asked, starts=(start,))))
        known = read(layout) or asked
    _refuse_other(layout, _plain(known.identity), _plain(asked.identity), what="recipe")
    if start not in known.starts:
        for number in itertools.count(len(known.starts)):
            path = _start_path(layout, number)
            if durable.write_once(path, _text(start)) or _read_start(path) == start:
                break  # else another start took this number just now
        known = read(layout) or asked
    return known


def add_weights(layout: Layout, loaded: Sequence[Weights]) -> None:
    """Record which weights answered. Raises OtherRecipe when earlier shards had others."""
    known = _read_weights(layout)
    if loaded and not known:
        durable.write_once(_weights_path(layout), _text(list(loaded)))
        known = _read_weights(layout)
    if known:
        _refuse_other(layout, _by_name(known), _by_name(loaded), what="weights")


def read(layout: Layout) -> RunRecord | None:
    """The folder's record; None: it has none."""
    try:
        values = json.loads(layout.record.read_bytes())
    except FileNotFoundError:
        return None
    identity = values["identity"]
    return RunRecord(
        identity=Identity(identity["recipe"], identity["sampling"], tuple(identity["prompts"])),
        digest=values["digest"],
        notes=tuple(values["notes"]),
        weights=_read_weights(layout),
        starts=(*(Start(**item) for item in values["starts"]), *_later_starts(layout)),
    )


def _read_weights(layout: Layout) -> tuple[Weights, ...]:
    try:
        values = json.loads(_weights_path(layout).read_bytes())
    except FileNotFoundError:  # none are loaded yet, or by a version that wrote them into run.json
        values = json.loads(layout.record.read_bytes())["weights"]
    return tuple(Weights(**item) for item in values)


def _later_starts(layout: Layout) -> Iterator[Start]:
    for path in sorted(_start_path(layout, 0).parent.glob("*.json")):
        yield _read_start(path)


def _read_start(path: Path) -> Start:
    return Start(**json.loads(path.read_bytes()))


def _weights_path(layout: Layout) -> Path:
    return layout.run / "weights.json"


def _start_path(layout: Layout, number: int) -> Path:
    return layout.run / "starts" / f"{number:06d}.json"


def this_start() -> Start:
    """The running command and the installed versions."""
    versions = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return Start(without_credentials(sys.argv), versions)


def without_credentials(argv: Sequence[str]) -> str:
    """The command line with whatever looks like a secret replaced by ***."""
    words, hide_next = [], False
    for word in argv:
        if hide_next:
            words.append("***")
            hide_next = False
            continue
        word = re.sub(rf"(?i)^([\w-]*{_SECRET}[\w-]*)=.+", r"\1=***", without_secrets(word))
        hide_next = bool(re.fullmatch(rf"(?i)--?[\w-]*{_SECRET}[\w-]*", word))
        words.append(word)
    return " ".join(words)


_SECRET = r"(?:token|secret|password|passwd|signature|credential|api[-_]?key|access[-_]?key)"


def differences(there: Any, asked: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """(name, value there, value asked for) of each leaf of two JSON values that differs."""
    if isinstance(there, Mapping) and isinstance(asked, Mapping):
        for key in dict.fromkeys((*there, *asked)):
            inner = f"{name}.{key}" if name else str(key)
            yield from differences(there.get(key, ABSENT), asked.get(key, ABSENT), inner)
    elif isinstance(there, list) and isinstance(asked, list) and _all_maps(there + asked):
        yield from differences(_by_place(there), _by_place(asked), name)
    elif there != asked:
        yield name, _shown(there), _shown(asked)


def shown_differences(there: Any, asked: Any) -> str:
    """The same as lines for people; empty where nothing differs."""
    rows = list(differences(there, asked))
    if not rows:
        return ""
    header = ("what", "there", "asked for")
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(3)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    return "".join(f"  {line}\n" for line in lines)


def _refuse_other(layout: Layout, there: Any, asked: Any, *, what: str) -> None:
    found = shown_differences(there, asked)
    if found:
        raise OtherRecipe(
            f"{layout.out} belongs to a run with another {what}:\n{found}"
            "repeat it as it was, or choose another output folder"
        )


def _all_maps(items: Sequence[Any]) -> bool:
    return bool(items) and all(isinstance(item, Mapping) for item in items)


def _by_place(items: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Items by what they are called, or by their number where that is not theirs alone."""
    names = [str(item.get("stage") or item.get("name") or "") for item in items]
    return {
        name if name and names.count(name) == 1 else f"{name}[{place}]": item
        for place, (name, item) in enumerate(zip(names, items, strict=True))
    }


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _by_name(weights: Sequence[Weights]) -> Mapping[str, Any]:
    return {item.name: _plain(item) for item in weights}


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(_text(value))


def _text(value: Any) -> bytes:
    """Of a dataclass, or a list of them."""
    return (json.dumps(value, default=asdict, indent=1, ensure_ascii=False) + "\n").encode()
