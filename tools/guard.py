"""Do two commits write the same datasets? `guard.py BASE [HEAD]`, byte by byte, on one machine.

Both commits run the same commands on the same scenes, rendered once with BASE, and every Parquet
file and every file of an export is compared by its sha256. HEAD is the working tree unless named.
Only the command line is used, so modules may move and be renamed between the two; each flag whose
default may change is given. Exit code 0: equal; 3: different; 1: nothing could be compared.

Unusual: the two run one after the other in the same folder, so that paths stored in files agree.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
EQUAL, BROKEN, DIFFERENT = 0, 1, 3
CALL = "from massannot.cli import main; main()"
SEEDS = 2
WIDTH, HEIGHT, FRAMES, FPS = 64, 48, 8, 24
ORACLES = "detect,masks,depth,tracks,cameras"
ON_CPU = ("--device", "cpu", "--workers", "1")
READ = ("--fps", "all", "--clip-seconds", "20", "--long-side", "1280", "--dtype", "fp32")
TRAINER = ("--model-family", "qwen2_5_vl", "--profile-template", "mass-v2", "--frames", "4",
           "--split-by", "video_id", "--val", "0")  # fmt: skip
SHOWN = 4
"""Differences shown of a file, and files of a group, before the rest is counted."""


class CommandFailed(Exception):
    """A command of one side ended with another exit code than 0."""


@dataclass(frozen=True)
class Step:
    """Commands that write `folder`, whose files are compared under the name `group`."""

    group: str
    folder: str
    commands: tuple[tuple[str, ...], ...]
    endings: tuple[str, ...] = (".parquet",)
    """Of the files that are compared; empty: every file."""


@dataclass(frozen=True)
class Side:
    """One of the two commits: its name, its source tree, and where its outputs are kept."""

    name: str
    source: Path
    outputs: Path


@dataclass
class Group:
    """How the files of one step compare."""

    name: str
    files: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    """By the side's name."""
    differ: dict[str, list[str]] = field(default_factory=dict)
    """What differs, by file."""
    only_base: list[str] = field(default_factory=list)
    only_head: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    """Folders with the same bytes under other names."""

    @property
    def equal(self) -> bool:
        found = (self.errors, self.differ, self.only_base, self.only_head, self.renamed)
        return self.files > 0 and not any(found)

    @property
    def compared(self) -> bool:
        """False where both sides failed, or neither wrote a file: that says nothing."""
        return len(self.errors) < 2 and (self.files > 0 or bool(self.errors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", help="a revision")
    parser.add_argument("head", nargs="?", default="", help="another; default: the working tree")
    parser.add_argument("--keep", type=Path, help="keep inputs and both sides' outputs here")
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")
    options = parser.parse_args()
    kept: Path | None = options.keep
    if kept is not None and kept.exists():
        parser.error(f"--keep {kept}: exists; expected the name of a new folder")
    work = kept.resolve() if kept else Path(tempfile.mkdtemp(prefix="massannot-guard-"))
    try:
        groups = compare_commits(options.base, options.head, work)
    except CommandFailed as error:
        print(f"guard: {error}", file=sys.stderr)
        sys.exit(BROKEN)
    finally:
        if kept is None:
            shutil.rmtree(work)
    if options.json:
        print(json.dumps([asdict(group) | {"equal": group.equal} for group in groups], indent=1))
    else:
        print("\n".join(line for group in groups for line in lines(group)))
    sys.exit(exit_code(groups))


def exit_code(groups: Sequence[Group]) -> int:
    if not all(group.compared for group in groups):
        return BROKEN
    return EQUAL if all(group.equal for group in groups) else DIFFERENT


def compare_commits(base: str, head: str, work: Path) -> list[Group]:
    """Every group; `work` is filled. Raises CommandFailed where there is nothing to run."""
    sides = (
        Side("base", checkout(base, work / "base" / "source"), work / "base" / "outputs"),
        Side("head", checkout(head, work / "head" / "source"), work / "head" / "outputs"),
    )
    for side in sides:
        check_imported(side, work)
    inputs = work / "inputs"
    todo = steps(inputs, write_inputs(sides[0], inputs))
    groups = {step.group: Group(step.group) for step in todo}
    for side in sides:
        for group, error in write_outputs(side, todo, work / "outputs").items():
            groups[group].errors[side.name] = error
    for step in todo:
        base_folder, head_folder = (side.outputs / step.folder for side in sides)
        compare(step, base_folder, head_folder, groups[step.group])
    return list(groups.values())


def checkout(revision: str, folder: Path) -> Path:
    """The source tree of a revision, written to `folder`; of none, the working tree as it is."""
    if not revision:
        return ROOT
    folder.mkdir(parents=True)
    archive = ["git", "-C", str(ROOT), "archive", "--format=tar", f"{revision}^{{commit}}"]
    found = subprocess.run(archive, capture_output=True)
    if found.returncode:
        raise CommandFailed(f"{revision}: no such revision: {found.stderr.decode().strip()}")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=found.stdout, check=True)
    return folder


def check_imported(side: Side, work: Path) -> None:
    """Raises CommandFailed where Python imports the package from elsewhere, as installed."""
    where = python(side, work, "import massannot; print(massannot.__file__)").strip()
    if not Path(where).is_relative_to(side.source):
        raise CommandFailed(f"{side.name}: massannot is imported from {where}, not {side.source}")


def python(side: Side, cwd: Path, code: str, *arguments: str) -> str:
    """Stdout. Raises CommandFailed with the end of stderr."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("MASSANNOT_")}
    environment = ours | {
        "PYTHONPATH": str(side.source),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
    }
    cwd.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        end = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-SHOWN:])
        command = " ".join(arguments[:2]) or "import massannot"
        raise CommandFailed(f"{side.name}: {command}: exit code {done.returncode}: {end}")
    return done.stdout


def write_inputs(base: Side, inputs: Path) -> list[str]:
    """Scenes, a manifest with a broken film in it, and files for the recorded models; the names of
    the things in the first scene."""
    started = time.monotonic()
    scenes = inputs / "scenes"
    size = ("--width", str(WIDTH), "--height", str(HEIGHT))
    length = ("--frames", str(FRAMES), "--fps", str(FPS))
    count = ("--seed", "0", "--count", str(SEEDS))
    python(base, inputs, CALL, "scenes", "render", str(scenes), *count, *size, *length)
    python(base, inputs, CALL, "export", "coco", str(scenes), str(inputs / "coco"))
    films = inputs / "films"
    shutil.copytree(scenes / "videos", films)
    whole = (films / "scene-1.mp4").read_bytes()
    (films / "broken.mp4").write_bytes(whole[: len(whole) // 3])
    names: list[list[str]] = [
        pq.read_table(scenes / "data" / "phrases" / f"scene-{seed}.parquet")["text"].to_pylist()
        for seed in range(SEEDS)
    ]
    write_manifest(inputs / "questions.jsonl", names)
    write_recorded(scenes / "data", inputs)
    say(base, "inputs", started)
    return names[0]


def write_manifest(path: Path, names: Sequence[Sequence[str]]) -> None:
    """A question of each kind that formats write differently, and one that no clip answers."""
    first, second = (f"films/scene-{seed}.mp4" for seed in range(SEEDS))
    rows: list[dict[str, Any]] = [
        {"id": "moves", "video": first, "entities": names[0], "category": "motion",
         "question": f"Does {names[0][0]} move?", "answer": "yes", "options": ["yes", "no"]},
        {"id": "count", "video": second, "entities": names[1], "category": "count",
         "question": "How many things are there?", "answer": str(len(names[1])),
         "problem_type": "numerical"},
        {"id": "span", "video": second, "entities": names[1][:1], "start_s": 0.1, "end_s": 0.3,
         "question": f"What is {names[1][0]} like?", "answer": "small"},
        {"id": "none", "video": "films/broken.mp4", "entities": ["a ball"],
         "question": "Is there a ball?", "answer": "no"},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_recorded(truth: Path, inputs: Path) -> None:
    """depth.npz, tracks.npz and cameras.npz of the first scene; its boxes and masks are exported.

    The depth is a floor that comes nearer to the bottom of the picture: `truth` has none.
    """
    rows = np.linspace(6, 2, HEIGHT, dtype=np.float32)[None, :, None]
    depth = np.broadcast_to(rows, (FRAMES, HEIGHT, WIDTH)).copy()
    np.savez(inputs / "depth.npz", depth=depth, kind="metric", fps=FPS)
    tracks = pq.read_table(truth / "tracks_xy" / "scene-0.parquet")
    x, y, visible = (np.array(tracks[name].to_pylist()).T for name in ("x", "y", "visible"))
    size = np.array([WIDTH, HEIGHT])
    xy = np.stack([x, y], axis=-1)
    np.savez(inputs / "tracks.npz", tracks=xy, visible=visible, size=size, fps=FPS, origin="corner")
    cameras = pq.read_table(truth / "cameras" / "scene-0.parquet")
    intrinsics = np.stack([cameras[name].to_numpy() for name in ("fx", "fy", "cx", "cy")], axis=-1)
    poses = np.array(cameras["cam_from_world"].to_pylist()).reshape(-1, 4, 4)
    np.savez(inputs / "cameras.npz", intrinsics=intrinsics, cam_from_world=poses, size=size,
             fps=FPS, origin="corner")  # fmt: skip


def steps(inputs: Path, names: Sequence[str]) -> list[Step]:
    """What both sides do, in order: later steps read what earlier ones wrote."""
    manifest, first = str(inputs / "questions.jsonl"), str(inputs / "films" / "scene-0.mp4")
    truth = ("--profile", "none", "--scenes", str(inputs / "scenes"), "--oracle", ORACLES)
    kept = (*READ, "--depth-maps")
    anyhow = ("--max-failed", "1")
    coco = str(inputs / "coco" / "annotations.json")
    files = {"boxes": coco, "masks": coco}
    files |= {job: str(inputs / f"{job}.npz") for job in ("depth", "tracks", "cameras")}
    recorded = [word for job, path in files.items() for word in (f"--{job}", path)]
    prompts = [word for name in names for word in ("-p", name)]
    alone = ("--no-films", *ON_CPU)
    annotate = ("annotate", manifest, *truth, *kept, *anyhow, *alone, "-o", "annotate")
    from_files = ("annotate", first, "--profile", "none", *recorded, *prompts, *kept, *alone)
    embedded = ("--profile", "embedded", *prompts, *READ, "--no-depth-maps", *alone)
    networks = ("annotate", first, *embedded, "-o", "embedded")
    plan = ("plan", manifest, *truth, *kept, "--shard-minutes", "7.5", "--rate", "5")
    run = ("run", "plan", "-o", "run", "--executor", "local", *anyhow, *ON_CPU)
    found = [
        Step("annotate, oracles", "annotate/data", (annotate,)),
        Step("annotate, its own plan", "annotate/_run", ()),
        Step("plan", "plan", ((*plan, "-o", "plan"),)),
        Step("run of the plan", "run/data", (run,)),
        Step("annotate, recorded models", "recorded/data", ((*from_files, "-o", "recorded"),)),
        Step("annotate, embedded models", "embedded/data", (networks,)),
        Step("publish", "published", (("publish", "annotate", "published", "--file-mb", "512"),)),
    ]
    formats: dict[str, tuple[str, ...]] = {
        "csv": (),
        "coco": (),
        "mass-bench": (),
        "tapvid3d": (),
        "tapip3d": (),
        "trl": (*TRAINER, "--media", "images"),
        "verl": (*TRAINER, "--media", "images"),
        "ms-swift": (*TRAINER, "--media", "images"),
        "video-r1": (*TRAINER, "--media", "video"),
    }
    for name, options in formats.items():
        export = ("export", name, "annotate", f"exports/{name}", *options)
        found.append(Step(f"export {name}", f"exports/{name}", (export,), endings=()))
    return found


def write_outputs(side: Side, todo: Sequence[Step], folder: Path) -> dict[str, str]:
    """Run the steps in `folder` and move it to the side's own; the error of each that failed."""
    failed: dict[str, str] = {}
    for step in todo:
        started = time.monotonic()
        try:
            for command in step.commands:
                python(side, folder, CALL, *command)
        except CommandFailed as error:
            failed[step.group] = str(error)
        if step.commands:
            say(side, step.group, started)
    side.outputs.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(side.outputs)
    return failed


def say(side: Side, what: str, started: float) -> None:
    print(f"{side.name}: {what}, {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)


def compare(step: Step, base: Path, head: Path, group: Group) -> None:
    """Fill in what the two folders of a step hold."""
    of_base, of_head = sums(base, step.endings), sums(head, step.endings)
    group.files = len(of_base.keys() | of_head.keys())
    for folder in sorted({str(Path(name).parent) for name in of_base | of_head}):
        here, there = within(of_base, folder), within(of_head, folder)
        if here.keys() != there.keys() and Counter(here.values()) == Counter(there.values()):
            group.renamed.append(f"{folder} ({counted(len(here))})")
            continue
        group.only_base += sorted(here.keys() - there.keys())
        group.only_head += sorted(there.keys() - here.keys())
        for name in sorted(here.keys() & there.keys()):
            if here[name] != there[name]:
                group.differ[name] = differences(base / name, head / name)


def sums(folder: Path, endings: Sequence[str]) -> dict[str, str]:
    """The sha256 of each file by its path in `folder`."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (not endings or path.suffix in endings)
    }


def within(files: dict[str, str], folder: str) -> dict[str, str]:
    return {name: sha256 for name, sha256 in files.items() if str(Path(name).parent) == folder}


def differences(base: Path, head: Path) -> list[str]:
    """How two Parquet files differ, a line a column; of other files, their sizes."""
    if base.suffix != ".parquet":
        return [f"{base.stat().st_size} -> {head.stat().st_size} bytes"]
    one, other = pq.read_table(base), pq.read_table(head)
    found = list(columns_apart(one.schema, other.schema))
    if not found and one.num_rows != other.num_rows:
        found = [f"{one.num_rows} -> {other.num_rows} rows"]
    found = found or list(values_apart(one, other))
    return found or ["the same rows; metadata or encoding differ"]


def columns_apart(one: pa.Schema, other: pa.Schema) -> Iterator[str]:
    here, there = ({f.name: str(f.type) for f in schema} for schema in (one, other))
    for name in [*here, *(name for name in there if name not in here)]:
        if here.get(name) != there.get(name):
            yield f"{name}: {here.get(name, 'no column')} -> {there.get(name, 'no column')}"
    if here == there and list(here) != list(there):
        yield "the same columns in another order"


def values_apart(one: pa.Table, other: pa.Table) -> Iterator[str]:
    """Columns of two tables of as many rows, with the first row that differs. NaN equals NaN."""
    for name in one.schema.names:
        pairs = list(zip(one[name].to_pylist(), other[name].to_pylist(), strict=True))
        rows = [i for i, (a, b) in enumerate(pairs) if repr(a) != repr(b)]
        if rows:
            a, b = (short(value) for value in pairs[rows[0]])
            yield f"{name}: {len(rows)} of {len(pairs)} rows; row {rows[0]}: {a} -> {b}"


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]}... ({len(text)} characters)"


def lines(group: Group) -> Iterator[str]:
    """A line for the group, and further ones for what is not equal in it."""
    word = "equal" if group.equal else "DIFFERENT" if group.compared else "NOT COMPARED"
    yield f"{group.name}: {counted(group.files)}, {word}"
    for error in group.errors.values():
        yield "  " + error.replace("\n", "\n    ")
    for folder in group.renamed:
        yield f"  {folder}: the same bytes under other names"
    for side, names in (("base", group.only_base), ("head", group.only_head)):
        if names:
            yield f"  only in {side}: {shown(names)}"
    for name, found in group.differ.items():
        yield f"  {name}: {'; '.join(found[:SHOWN])}{more(found)}"


def counted(files: int) -> str:
    return f"{files} file{'' if files == 1 else 's'}"


def shown(names: Sequence[str]) -> str:
    return f"{', '.join(names[:SHOWN])}{more(names)}"


def more(found: Sequence[str]) -> str:
    return f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""


if __name__ == "__main__":
    main()
