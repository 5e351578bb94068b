"""Tables are added to a finished dataset, and the command is killed from outside between any two
steps: a shard has all of its new rows or none, and the same command ends what was begun."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from massannot.dataset import commits
from massannot.dataset.layout import Layout
from massannot.dataset.reading import open_dataset
from massannot.dataset.validate import problems
from massannot.jobs.onto_tables import add_tables
from massannot.plan.planned_videos import edition
from tests.faults import tiny_run
from tests.faults.tiny_run import Tiny, data_files, plan_of

ADDED = ("segments", "cameras")
N_SHARDS = 12
STEPS = {"stage", "commit", "publish", "between"}
"""New files are being written; they are committed and none is published; some are; a shard is done
and others are not."""
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="finds out by polling how far it is"),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of shards of one video each; its videos are gone."""
    folder = tmp_path_factory.mktemp("finished")
    plan = plan_of(tiny_run.write_videos(folder / "videos", N_SHARDS), per_shard=1)
    tiny_run.run(plan, Tiny(), out=folder / "out", workers=0)
    shutil.rmtree(folder / "videos")
    return folder / "out"


FROM_A_SERVER = multiprocessing.get_context("forkserver")
"""Processes of their own that need not import everything again."""
FROM_A_SERVER.set_forkserver_preload(["massannot.jobs.onto_tables"])


def adding(out: Path) -> BaseProcess:
    """`--add-table` of ADDED in a process of its own."""
    process = FROM_A_SERVER.Process(target=add_tables, args=(out, ADDED), kwargs={"quiet": True})
    process.start()
    return process


def end_of(process: BaseProcess) -> int | None:
    process.join(120)
    return process.exitcode


def step_of(layout: Layout) -> str | None:
    """What the command is doing, read from the folder; None: it has not begun, or is over."""
    newest = commits.newest(layout)
    committed = {edition(*item) for item in newest.items()}
    for name in layout.shards_in_staging():
        if name not in committed:
            return "stage"
        shard = name.split(".")[0]
        there = [layout.published(table, shard).exists() for table in ADDED]
        return "publish" if any(there) else "commit"
    done = sum(newest.values())
    return "between" if 0 < done < N_SHARDS else None


def killed_in(process: BaseProcess, layout: Layout, step: str, skip: int) -> bool:
    """SIGKILL once the folder shows the step for the `skip`th time. False: it was over before."""
    was = None
    while process.is_alive():
        try:
            seen = step_of(layout)
        except FileNotFoundError:
            continue  # the folder changes while it is read
        if seen == step and was != step:
            skip -= 1
        if seen == step and skip < 0:
            process.kill()
            return end_of(process) == -signal.SIGKILL
        was = seen
        time.sleep(0.0003)
    end_of(process)
    return False


def test_a_shard_has_all_of_its_added_rows_or_none_whatever_is_killed(
    finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "undisturbed")
    assert end_of(adding(tmp_path / "undisturbed")) == 0
    old, new = data_files(finished), data_files(tmp_path / "undisturbed")
    assert len(new) == len(old) + 2 * N_SHARDS
    assert {name: new[name] for name in old} == old
    chance, hits, kills, out = random.Random(5), set(), 0, tmp_path / "out"
    while hits < STEPS or kills < 12:
        if not out.exists():
            shutil.copytree(finished, out)
        wanted = chance.choice(sorted(STEPS - hits or STEPS))
        if not killed_in(adding(out), Layout(out), wanted, chance.randrange(3)):
            shutil.rmtree(out)
            continue
        hits.add(wanted)
        kills += 1
        there = data_files(out)
        assert old.items() <= there.items() <= new.items()
        layout = Layout(out)
        for shard, generation in commits.newest(layout).items():
            names = {file.table for file in commits.read(layout, shard).files}
            assert {*ADDED} <= names or generation == 0
    assert end_of(adding(out)) == 0
    assert data_files(out) == new
    assert list(problems(open_dataset(out))) == []
    assert Layout(out).shards_in_staging() == set()
    left = {path.name for path in Layout(out).commits.glob("*.json")}
    assert left == {f"{number:06d}.1.json" for number in range(N_SHARDS)}
