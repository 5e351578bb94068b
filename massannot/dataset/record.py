"""Run record: what made an output folder, so that nothing else is added to it.

`_run/spec.json` holds the first start: the RunSpec, the digests of code, weights and answers, the
recipe's description. Every later start is compared with it, and another spec is refused with the
difference. `starts/NNNNNN.json` holds each later start that differs from all before it,
`weights.json` the weights that the first worker loaded, `deviations.json` how far it found them in
lower precision from float32.

Many jobs start at once, on many machines, and a bucket knows no locks: so each file is written
once and the first writer wins. One exception: a folder in which no worker ever loaded its models
holds no row, and a corrected command may replace the record of the one that failed.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from massannot.dataset import record_v0
from massannot.dataset.differences import shown_differences
from massannot.dataset.layout import Layout, drop_plans
from massannot.errors import OtherRecipe, UsageError
from massannot.storage import durable
from massannot.storage.json_text import our_own, parsed
from massannot.storage.store import without_secrets

Found = TypeVar("Found")

PACKAGES = (
    "massannot",
    "numpy",
    "pyarrow",
    "av",
    "torch",
    "transformers",
    "opencv-python-headless",
)
WHICH_VIDEOS = ("sources", "select", "shard_pixels", "folder")
"""Fields of a spec that a later start may change: it adds videos."""


@dataclass(frozen=True)
class LoadedWeights:
    """The card of weights that answered, see models/protocols.py."""

    name: str
    weights: str
    revision: str
    sha256: str
    license: str
    n_parameters: int
    note: str = ""
    """About the answers of a file: what of it is used, what is left out and why."""


@dataclass(frozen=True)
class Deviation:
    """How far a network in lower precision answers from itself in float32, on a rendered clip."""

    job: str
    dtype: str
    device: str
    """The processor's or the GPU's name."""
    measure: str
    """moved_px, changed_rel: medians; changed_share: of the pixels of float32's masks."""
    value: float


@dataclass(frozen=True)
class Start:
    """One start of a run: the command without credentials, and the installed versions."""

    command: str
    versions: Mapping[str, str]
    other_code: Mapping[str, str] = field(default_factory=dict)
    """Digests of parts whose code differed from the first start's, where --allow-code let it."""


@dataclass(frozen=True)
class RunRecord:
    """A run's spec, and everything else that must stay the same while rows are added."""

    spec: Mapping[str, Any]
    """RunSpec.to_json."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Pipeline.describe."""
    digest: str = ""
    """Pipeline.digest."""
    code: Mapping[str, str] = field(default_factory=dict)
    """A part of the package, or a file of the user's, to the digest of its code."""
    weights_digests: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    """A job to the SHA-256 of the file that answers it."""
    notes: tuple[str, ...] = ()
    """Pipeline.notes: which answers are oracles', which weights are not for real video."""
    weights: tuple[LoadedWeights, ...] = ()
    """Empty until a worker has loaded them."""
    deviations: tuple[Deviation, ...] = ()
    """Of networks in lower precision; empty until the first worker has measured them."""
    starts: tuple[Start, ...] = ()
    """Those that differ, in order: a thousand jobs of an array with one command are one."""

    @property
    def phrases(self) -> tuple[str, ...]:
        return tuple(self.spec.get("phrases", ()))

    @property
    def profile(self) -> str:
        return str(self.recipe.get("profile", ""))

    @property
    def fps(self) -> float | None:
        """Annotated frames a second; None: all of them."""
        fps: float | None = self.spec["sampling"]["fps"]
        return fps

    def to_json(self) -> dict[str, Any]:
        """What spec.json holds: all but what workers find, and later starts."""
        values = _plain(asdict(self))
        found = ("weights", "deviations")
        return {name: value for name, value in values.items() if name not in found}


def begin(
    layout: Layout,
    wanted: RunRecord,
    *,
    code: Mapping[str, str] | None = None,
    allow_code: bool = False,
) -> RunRecord:
    """The folder's record, with this start in it.

    `wanted` as it was planned; `code`: digests of the present code, where it was planned before.
    Raises OtherRecipe for a folder of another spec, other weights or answers, and, unless
    `allow_code`, other code; UsageError for a folder of version 0.1, or with another's README.md.
    """
    refuse_v0(layout)
    refuse_foreign_card(layout)
    code = wanted.code if code is None else code
    start = this_start()
    first = _text(replace(wanted, starts=(start,)).to_json())
    if not durable.write_once(layout.record, first) and not is_bound(layout):
        _replace_unbound(layout, wanted, first)
    record = _read(layout)
    refuse_other(layout.out, record, replace(wanted, code=code), allow_code=allow_code)
    changed = {part: digest for part, digest in code.items() if record.code.get(part) != digest}
    start = replace(start, other_code=changed)
    if start in record.starts:
        return record
    for number in itertools.count(len(record.starts)):
        path = _start_path(layout, number)
        if durable.write_once(path, _text(start)) or _read_start(path) == start:
            break  # else another start took this number just now
    return _read(layout)


def _replace_unbound(layout: Layout, wanted: RunRecord, content: bytes) -> None:
    """Let a corrected command have the folder of one that failed before its models were loaded."""
    record = _read(layout)
    if (_deciding(record), record.code) != (_deciding(wanted), wanted.code):
        durable.write_over(layout.record, content)
        drop_plans(layout)


def is_bound(layout: Layout) -> bool:
    """Whether a worker ever loaded the models of the folder's run."""
    return _weights_path(layout).exists() or any(layout.commits.glob("*.json"))


def refuse_v0(layout: Layout) -> None:
    """Raises UsageError for a folder that version 0.1 wrote."""
    if record_v0.is_there(layout):
        raise UsageError(
            f"{layout.out} was written by massannot 0.1.0: it can be read, exported and published, "
            "but not continued; choose another output folder"
        )


def refuse_foreign_card(layout: Layout) -> None:
    """Raises UsageError where the dataset's card would take the place of somebody's README.md."""
    if layout.record.exists() or not layout.card.exists():
        return
    text = layout.card.read_bytes()
    if not (b"massannot" in text and b"\nconfigs:" in text):
        raise UsageError(
            f"{layout.card}: found a file that no dataset's card is; a card would take its place: "
            "choose another output folder"
        )


def refuse_other(
    folder: Path, record: RunRecord, wanted: RunRecord, *, allow_code: bool = False
) -> None:
    """Raises OtherRecipe, with the difference, where `wanted` would give other rows than `record`,
    that of an output folder or of a plan."""
    found = shown_differences(_deciding(record), _deciding(wanted))
    if found:
        raise OtherRecipe(
            f"{folder} belongs to a run with another recipe:\n{found}"
            "repeat it as it was, or choose another output folder"
        )
    if not allow_code and (found := shown_differences(record.code, wanted.code)):
        raise OtherRecipe(
            f"{folder} was begun with other code:\n{found}"
            "go back to that code, choose another output folder, or go on with --allow-code, "
            "which is recorded"
        )


def _deciding(record: RunRecord) -> Mapping[str, Any]:
    """The values that must stay the same, under the names of RunSpec's fields."""
    spec = {name: value for name, value in record.spec.items() if name not in WHICH_VIDEOS}
    values = {**spec, "weights": record.weights_digests, "answers": record.answers}
    return _plain(values)


def add_weights(layout: Layout, wanted: RunRecord, loaded: Sequence[LoadedWeights]) -> None:
    """Record which weights answered: from now on the folder belongs to this run.

    Raises OtherRecipe when earlier shards had others, or when another command has taken the folder
    while the models were loading.
    """
    refuse_other(layout.out, _read(layout), wanted, allow_code=True)
    durable.write_once(_weights_path(layout), _text(list(loaded)))
    found = shown_differences(_by_name(_read_weights(layout)), _by_name(loaded))
    if found:
        raise OtherRecipe(
            f"{layout.out} belongs to a run with other weights:\n{found}"
            "repeat it as it was, or choose another output folder"
        )


def add_deviations(layout: Layout, measured: Sequence[Deviation]) -> None:
    """Record what lower precision does; the first worker's word stands."""
    if measured:
        durable.write_once(_deviations_path(layout), _text(list(measured)))


ANEW = "choose another output folder"


def read(layout: Layout) -> RunRecord | None:
    """The folder's record; None: it has none."""
    try:
        return _read(layout)
    except FileNotFoundError:
        pass
    values = record_v0.values(layout)
    if values is None:
        return None
    starts = tuple(Start(**start) for start in values.pop("starts"))
    weights = tuple(LoadedWeights(**card) for card in values.pop("weights"))
    return RunRecord(
        **values,
        weights=_read_weights(layout) or weights,
        starts=(*starts, *_later_starts(layout)),
    )


def required(layout: Layout) -> RunRecord:
    """The folder's record. Raises UsageError for a folder without one."""
    record = read(layout)
    if record is None:
        raise no_run(layout.out)
    return record


def no_run(out: Path) -> UsageError:
    """The error for a folder in which nothing was ever begun."""
    return UsageError(
        f"{out}: found no run in it, expected the output folder of `massannot annotate` or "
        "`massannot run`"
    )


def _read(layout: Layout) -> RunRecord:
    content = layout.record.read_bytes()
    with our_own(layout.record, ANEW):
        values = parsed(content)
        starts = tuple(Start(**start) for start in values.pop("starts"))
        record = RunRecord(**{**values, "notes": tuple(values["notes"])})
    later = tuple(_later_starts(layout))
    return replace(
        record,
        weights=_read_weights(layout),
        deviations=_read_found(_deviations_path(layout), Deviation),
        starts=(*starts, *later),
    )


def from_json(values: Mapping[str, Any]) -> RunRecord:
    """The record that a plan's spec.json holds."""
    return RunRecord(
        **{**values, "notes": tuple(values["notes"]), "starts": ()},
    )


def _read_weights(layout: Layout) -> tuple[LoadedWeights, ...]:
    return _read_found(_weights_path(layout), LoadedWeights)


def _read_found(path: Path, kind: Callable[..., Found]) -> tuple[Found, ...]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # no worker has been ready yet
        return ()
    with our_own(path, ANEW):
        return tuple(kind(**item) for item in parsed(content))


def _later_starts(layout: Layout) -> Iterator[Start]:
    for path in sorted(_start_path(layout, 0).parent.glob("*.json")):
        yield _read_start(path)


def _read_start(path: Path) -> Start:
    with our_own(path, ANEW):
        return Start(**parsed(path.read_bytes()))


def _weights_path(layout: Layout) -> Path:
    return layout.run / "weights.json"


def _deviations_path(layout: Layout) -> Path:
    return layout.run / "deviations.json"


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


def _by_name(weights: Sequence[LoadedWeights]) -> Mapping[str, Any]:
    return {item.name: _plain(item) for item in weights}


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(_text(value))


def _text(value: Any) -> bytes:
    """Of a dataclass, or a list of them."""
    return (json.dumps(value, default=asdict, indent=1, ensure_ascii=False) + "\n").encode()
