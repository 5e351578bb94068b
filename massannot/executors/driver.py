"""Driver: feeds shards to workers, hears them, replaces the dead and finds who is to blame.

A worker that dies is replaced and its shard done again one clip at a time (see
worker.DEATHS_TO_BLAME). Nothing here knows how a clip is annotated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import wait
from typing import Any

from massannot.errors import MassannotError, NothingToRun, WorkerBroke
from massannot.executors.child_process import ChildProcess
from massannot.executors.messages import Broken, Loaded, ShardEnded, Stop, WantsMore, Work
from massannot.executors.order import Order, load, worker_of
from massannot.executors.progress import Progress, ShardBegun, ShardDone, WorkerDied
from massannot.executors.stop_signals import StopSignals
from massannot.io import run_record
from massannot.io.journal import Died, Journal, read_past
from massannot.io.layout import Layout
from massannot.io.plan import Shard

DEATHS_OUTSIDE_CLIPS = 3
"""A shard whose isolated workers die this often with no clip in hand is a bug, not a bad clip."""
DEATHS_BEFORE_WORK = 3
"""Models that could not be loaded so often in a row will not load the next time either."""


class Driver:
    """Feeds shards to workers until all are settled or somebody asks to stop."""

    def __init__(
        self,
        layout: Layout,
        todo: Sequence[Shard],
        orders: Sequence[Order],
        signals: StopSignals,
        report: Progress,
    ):
        self._layout = layout
        self._todo = deque(Work(shard, isolated=False) for shard in todo)
        self._orders = orders
        self._signals = signals
        self._report = report
        self._processes: list[ChildProcess] = []
        self._deaths_before_work = 0

    def run_here(self) -> None:
        """One worker in this process; a clip that kills it kills the run."""
        pipeline, weights = load(self._orders[0], self._report)
        run_record.add_weights(self._layout, weights)
        worker = worker_of(
            self._orders[0],
            pipeline,
            report=self._report,
            is_stopping=lambda: self._signals.stopping,
            wants_more=lambda: None,
        )
        try:
            while self._todo and not self._signals.stopping:
                shard = self._todo.popleft().shard
                worker.announce(shard)
                if self._todo:
                    worker.announce(self._todo[0].shard)
                if worker.work(shard) != "interrupted":
                    self._report(ShardDone(0, shard.id))
        finally:
            worker.close()
            pipeline.destroy()

    def run(self) -> None:
        """Worker processes, never more than there are shards."""
        try:
            for order in self._orders[: len(self._todo)]:
                self._processes.append(ChildProcess(order))
            while self._feed():
                self._listen()
                self._bury()
            for process in self._processes:
                process.say(Stop())
            for process in self._processes:
                process.join()
        finally:
            for process in self._processes:
                process.kill()

    def _feed(self) -> bool:
        """Give out shards; False: nobody works and nothing is left to do."""
        if self._signals.stopping:
            for process in self._processes:
                process.say(Stop())
        else:
            for process in self._processes:
                if process.ready and not process.work and self._todo:
                    process.give(self._todo.popleft())
            for process in self._processes:
                if process.wants_more and self._todo and not self._todo[0].isolated:
                    process.give(self._todo.popleft())
        busy = any(process.work for process in self._processes)
        return busy or (bool(self._todo) and not self._signals.stopping)

    def _listen(self) -> None:
        """Hear every worker out. A dead one is heard to its last message first."""
        heard = {process.connection: process for process in self._processes}
        for connection in wait(list(heard), timeout=0.2):
            process = heard[connection]  # type: ignore[index]  # connections in, connections out
            for message in process.messages():
                self._hear(process, message)

    def _hear(self, process: ChildProcess, message: Any) -> None:
        match message:
            case Loaded(weights):
                run_record.add_weights(self._layout, weights)
                process.ready = True
            case WantsMore():
                process.wants_more = True
            case ShardEnded(shard, end):
                work = process.ended()
                if end != "interrupted":
                    self._report(ShardDone(process.order.number, shard))
                elif not self._signals.stopping:
                    self._todo.appendleft(work)  # somebody else asked that worker to stop
            case Broken(error, trace):
                log = process.log
                raise error or WorkerBroke(f"worker {process.order.number} ({log}):\n{trace}")
            case ShardBegun(attempt=attempt):
                process.attempt = attempt
                self._deaths_before_work = 0
                self._report(message)
            case _:
                self._report(message)

    def _bury(self) -> None:
        """Put what dead workers had in hand first in line, isolated, and start new ones."""
        for process in [p for p in self._processes if p.silent]:
            self._processes.remove(process)
            self._mourn(process)
            if self._todo and not self._signals.stopping:
                self._processes.append(ChildProcess(process.order))

    def _mourn(self, process: ChildProcess) -> None:
        """Take back what it was given: what it had begun goes to the next one isolated."""
        begun = process.work[0] if process.attempt is not None else None
        self._todo.extendleft(reversed(process.work))
        if process.exit_code == 0:
            return  # it was asked to stop
        self._report(
            WorkerDied(process.order.number, process.exit_code, begun.shard.id if begun else None)
        )
        if begun is not None:
            self._todo[0] = Work(begun.shard, isolated=True)
            self._record_death(process, begun)
        else:
            self._deaths_before_work += 1
            if self._deaths_before_work >= DEATHS_BEFORE_WORK:
                raise NothingToRun(
                    f"worker {process.order.number} died {DEATHS_BEFORE_WORK} times while it "
                    f"loaded its models (exit code {process.exit_code}: {process.last_words()}); "
                    f"see {process.log}"
                )

    def _record_death(self, process: ChildProcess, work: Work) -> None:
        shard = work.shard.id
        if process.attempt is not None and not self._layout.commit(shard).exists():
            with Journal(self._layout.journal(shard, process.attempt)) as journal:
                journal.write(Died(work.isolated, process.exit_code))
            if read_past(self._layout, shard).deaths_elsewhere >= DEATHS_OUTSIDE_CLIPS:
                raise MassannotError(
                    f"shard {shard}: its worker died {DEATHS_OUTSIDE_CLIPS} times with no clip in "
                    f"hand (exit code {process.exit_code}: {process.last_words()}); "
                    f"see {process.log}"
                )
