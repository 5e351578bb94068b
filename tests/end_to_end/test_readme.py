"""Every command of README and of the pages beside it runs, as printed, and so does README's Python.

docs/tutorial.md, cluster.md and buckets.md have tests of their own.
"""

from __future__ import annotations

import csv
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from massannot.dataset.reading import open_dataset
from massannot.dataset.reviews_of_run import ReviewFile, hash_of_rows
from massannot.questions.ask.asked_about import with_its_clips
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from tests.in_process import run_massannot

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
ORACLES = "--profile none --scenes {scenes} --oracle detect,masks,depth,tracks,cameras"
MOST_LINES = 120


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in a language; "": those of commands."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [block for named, block in fenced if named == language]


def commands(page: Path) -> list[str]:
    """A page's massannot commands in order, continuation lines joined."""
    lines = "".join(blocks(page, "")).replace("\\\n", " ").splitlines()
    found = [line.split("#")[0].strip() for line in lines]
    return [line for line in found if line.startswith("massannot ")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A video named ball.mp4 that shows a red ball, and a manifest that asks about it."""
    options = SceneOptions(width=96, height=80, n_frames=12)
    (record,) = write_scenes(tmp_path / "world", seeds=[3], options=options)
    (tmp_path / "ball.mp4").write_bytes((tmp_path / "world" / record.video).read_bytes())
    (tmp_path / "questions.jsonl").write_text(blocks(DOCS / "formats.md", "json")[0])
    return tmp_path


def shell(command: str, folder: Path) -> str:
    return run_massannot(command.removeprefix("massannot "), folder)


@pytest.mark.parametrize(
    ("page", "at_least"),
    [
        pytest.param(
            README,
            8,
            id="README",
            marks=[
                pytest.mark.seen("films and report", "oracle"),
                pytest.mark.seen("publish", "oracle"),
            ],
        ),
        pytest.param(
            DOCS / "questions.md",
            9,
            id="questions",
            marks=[pytest.mark.seen("questions", "oracle")],
        ),
        pytest.param(DOCS / "models.md", 4, id="models", marks=pytest.mark.slow),
        pytest.param(
            DOCS / "training.md", 10, id="training", marks=[pytest.mark.seen("training", "oracle")]
        ),
    ],
)
def test_the_commands_run_in_the_order_in_which_they_stand(
    page: Path, at_least: int, folder: Path
) -> None:
    """One change: the truth answers where a profile with weights would: weights are not here."""
    ran = commands(page)
    assert len(ran) >= at_least
    for command in ran:
        if command.startswith("massannot annotate") and "--profile" not in command:
            command += " " + ORACLES.format(scenes="world")
        shell(command, folder)
    if page == README:
        assert (folder / "out" / "report" / "index.html").exists()
        assert list((folder / "out" / "films").glob("*.mp4"))
    if page == DOCS / "questions.md":
        loads_as_published(folder / "published", cache=folder / "cache")
        publishes_what_people_accepted(folder / "proven")


def loads_as_published(published: Path, *, cache: Path) -> None:
    """Of the six videos one is held out twice; a row's film is there."""
    loaded = pytest.importorskip("datasets").load_dataset(str(published), cache_dir=str(cache))
    videos = {split: set(rows["video_id"]) for split, rows in loaded.items()}
    assert {split: len(some) for split, some in videos.items()} == {"train": 4, "val": 1, "test": 1}
    assert len(set.union(*videos.values())) == 6
    for row in loaded["train"]:
        assert (published / row["video"]).is_file()
        assert row["program"]
        assert row["answer"]
        assert 0 <= row["blind_score"] <= 1


def publishes_what_people_accepted(proven: Path) -> None:
    """Of three questions one is rejected and one reworded; nobody looks at the others."""
    dataset = with_its_clips(proven)
    about = open_dataset(dataset.layout.out)
    first, second, third = dataset.table("questions").to_pylist()[:3]
    file = ReviewFile(dataset.reviewed_in, "ada")
    for row, values in (
        (first, {"decision": "accept", "question": "Reworded?", "event": "It rolls."}),
        (second, {"decision": "accept"}),
        (third, {"decision": "reject", "reason": "trivial"}),
    ):
        clip_id, name = row["clip_id"], row["question_id"]
        shown = {"kind": "question", "request": f"about {name}", "question_id": name}
        rows_hash = hash_of_rows(about.clip(clip_id))
        file.add({**shown, "clip_id": clip_id, **values}, rows_hash=rows_hash, sample=None,
                 stratum=None)  # fmt: skip
    more = "--val 0 --test 0 --min-acceptance"
    refused = run_massannot(f"questions publish proven few {more} 0.7", proven.parent, code=2)
    assert "--min-acceptance 0.7: found 2 of 3 accepted: 66.7 %" in refused
    run_massannot(f"questions publish proven few --accepted-only {more} 0.6", proven.parent)
    rows = {r["question_id"]: r for r in pq.read_table(proven.parent / "few/data").to_pylist()}
    assert set(rows) == {first["question_id"], second["question_id"]}
    row = rows[first["question_id"]]
    assert "Reworded?" in row["question"]
    assert (row["event"], row["verified_by"]) == ("It rolls.", ["ada"])
    card = (proven.parent / "few/README.md").read_text()
    assert "This dataset holds the accepted questions alone." in card
    assert "questions looked at: 2 of 3 accepted: 66.7 %" in card


def test_the_readme_is_one_screen_and_reads_on_the_package_index() -> None:
    """Pictures and links are absolute: the index has no folder that they could be relative to."""
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert targets
    assert all(target.startswith("https://") for target in targets)
    here = [path for target in targets for _, found, path in [target.partition("/main/")] if found]
    assert here
    assert [path for path in here if not (ROOT / path).exists()] == []


@pytest.mark.slow
def test_the_rows_are_those_of_the_demo(tmp_path: Path) -> None:
    """To 5 cm: the same bytes are promised for one kind of machine alone."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    shell("massannot demo", tmp_path)
    shell("massannot export csv demo-out/annotated rows", tmp_path)
    (file,) = (tmp_path / "rows").glob("*.csv")
    with open(file, encoding="utf-8") as opened:
        found = {(row["name"], f"{float(row['t_s']):.3f}"): row for row in csv.DictReader(opened)}
    shown = table(README, "name")
    assert len(shown) == 5
    for row in shown:
        real = found[row["name"], row["t_s"]]
        for axis in ("x_world", "y_world", "z_world", "z_half_90"):
            assert float(real[axis]) == pytest.approx(float(row[axis]), abs=0.05)
        assert real["state"] == row["state"]


def table(page: Path, first: str) -> list[dict[str, str]]:
    """The rows of the table whose first column is called so."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first} |"))
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in itertools.takewhile(lambda line: line.startswith("|"), lines[start:])
    ]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def test_the_python_example_runs(folder: Path) -> None:
    (code,) = blocks(README, "python")
    chosen = (
        "from massannot.engine.settings import ExecutorSettings\n"
        "from massannot.recipes.model_flags import ModelFlags, run_spec\n"
        "from massannot.recipes.models import NEEDED\n"
        "flags = ModelFlags(profile='none', scenes='world', oracles=NEEDED)\n"
        "more = {'spec': run_spec(flags=flags), 'settings': ExecutorSettings(workers=0)}\n"
    )
    assert 'out="out")' in code
    code = chosen + code.replace('out="out")', 'out="py", **more)')
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "(5, " in done.stdout  # half a second at ten frames a second
    assert "metric" in done.stdout
