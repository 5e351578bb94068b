"""Driver: feeds shards to workers, hears them, replaces the dead and finds who is to blame.

A shard that another driver has (see dataset/leases.py) is left to it, and taken over if that one
dies. A worker that dies is replaced and its shard done again one clip at a time (see
annotation.DEATHS_TO_BLAME); one whose clip hangs is killed, and the clip has failed; one that is
lost with its machine blames nobody. Nothing here knows how a clip is annotated, or where workers
run.

StopSignals: SIGTERM, SIGUSR1 and Ctrl-C ask a run to stop after the clips in hand.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from massannot.counts import counted
from massannot.dataset import commits
from massannot.dataset.journal import ClipKey, Died, Failed, Journal, read_past
from massannot.dataset.layout import Layout
from massannot.dataset.leases import Leases
from massannot.dataset.record import RunRecord, add_deviations, add_weights
from massannot.engine.handles import WorkerHandle, Workplace
from massannot.engine.messages import Broken, Loaded, ShardEnded, Stop, WantsMore, Work
from massannot.engine.progress import (
    ClipBegun,
    ClipDone,
    ClipFailed,
    Progress,
    ShardBegun,
    ShardDone,
    ShardElsewhere,
    WorkerDied,
)
from massannot.engine.watchdog import Hung, Patience, Watchdog
from massannot.engine.worker_config import WorkerConfig, load, worker_of
from massannot.errors import MassannotError, NothingToRun, WorkerBroke
from massannot.plan.folder import PlannedShard

SENT_TO_STOP = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)
)
"""SIGUSR1: what Slurm sends ahead of time with --signal=B:USR1@120; not every system has it."""
ASK_TO_STOP = (*SENT_TO_STOP, signal.SIGINT)


class StopSignals:
    """Inside the `with` block these signals set `stopping`; the second Ctrl-C is a
    KeyboardInterrupt. Does nothing outside the main thread: Python delivers no signals there."""

    def __init__(self) -> None:
        self.since = math.inf
        """When the first one came, on time.monotonic's clock."""
        self._before: list[tuple[int, Any]] = []

    @property
    def stopping(self) -> bool:
        return self.since < math.inf

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in ASK_TO_STOP:
                self._before.append((number, signal.signal(number, self._heard)))

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _heard(self, number: int, frame: object) -> None:
        if self.stopping and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.since = min(self.since, time.monotonic())


DEATHS_OUTSIDE_CLIPS = 3
"""A shard whose isolated workers die this often with no clip in hand is a bug, not a bad clip."""
WAIT_S = 0.2
IN_HAND = 2
"""Shards of one worker: that at work, and one to read ahead. Of tiny clips it could read all, and
leave nothing to the others."""
LOOK_EVERY_S = 2.0
"""How often a driver without work asks what became of the shards that others have."""
LOOKED_AT = 16
"""As many of them at a time: each costs requests."""
DEATHS_BEFORE_WORK = 3
"""Models that could not be loaded so often in a row will not load the next time either."""


class Driver:
    """Feeds shards to workers until all are settled or somebody asks to stop."""

    def __init__(
        self,
        layout: Layout,
        record: RunRecord,
        todo: Sequence[PlannedShard],
        configs: Sequence[WorkerConfig],
        signals: StopSignals,
        report: Progress,
        *,
        workplace: Workplace[Any],
        patience: Patience,
        leases: Leases,
    ):
        self._layout = layout
        self._record = record
        self._todo = deque(Work(shard, isolated=False) for shard in todo)
        self._elsewhere: deque[Work] = deque()
        """What other drivers have in hand."""
        self._look_again_at = 0.0
        self._leases = leases
        self._configs = configs
        self._signals = signals
        self._report = report
        self._workplace = workplace
        self._patience = patience
        on_cpu = any(config.device == "cpu" for config in configs)
        self._watchdog = Watchdog(
            patience if on_cpu else replace(patience, first_frame_on_cpu_s=0.0)
        )
        self._workers: list[WorkerHandle] = []
        self._deaths_before_work = 0

    def run_here(self) -> None:
        """One worker in this process; a clip that kills it kills the run."""
        pipeline, loaded = load(self._configs[0], self._report)
        self._note(loaded)
        worker = worker_of(
            self._configs[0],
            pipeline,
            report=self._report,
            is_stopping=lambda: self._signals.stopping,
            wants_more=lambda: None,
        )
        try:
            following = self._taken()
            while (following or self._elsewhere) and not self._signals.stopping:
                work = following
                if work is not None:
                    worker.announce(work.shard)
                following = self._taken()
                if following is not None:
                    worker.announce(following.shard)
                if work is None:
                    time.sleep(WAIT_S)
                elif worker.work(work.shard) != "interrupted":
                    self._leases.give_back(work.shard.id)
                    self._report(ShardDone(0, work.shard.id))
        finally:
            worker.close()
            pipeline.destroy()

    def run(self) -> None:
        """Workers, never more than there are shards."""
        try:
            for config in self._configs[: len(self._todo)]:
                self._workers.append(self._workplace.start(config))
            while self._feed():
                self._listen()
                self._stop_hung()
                self._bury()
            for worker in self._workers:
                worker.say(Stop())
            for worker in self._workers:
                if not worker.work:  # what has work now has had its grace
                    worker.join()
        finally:
            for worker in self._workers:
                worker.kill()

    def _feed(self) -> bool:
        """Give out shards; False: nobody works and nothing is left to do, or time is up."""
        if self._signals.stopping:
            for worker in self._workers:
                worker.say(Stop())
            if time.monotonic() - self._signals.since > self._patience.grace_s:
                return False
        else:
            for worker in self._workers:
                if worker.ready and not worker.work and (work := self._taken()):
                    worker.give(work)
            for worker in self._workers:
                isolated = bool(self._todo) and self._todo[0].isolated
                may_have = worker.wants_more and len(worker.work) < IN_HAND and not isolated
                if may_have and (work := self._taken()):
                    worker.give(work)
        busy = any(worker.work for worker in self._workers)
        left = bool(self._todo or self._elsewhere)
        return busy or (left and not self._signals.stopping)

    def _taken(self) -> Work | None:
        """The next shard that no other driver has, now this one's; None: there is none now."""
        if not self._todo:
            self._look_elsewhere()
        while self._todo:
            work = self._todo.popleft()
            if not self._leases.take(work.shard.id):
                self._elsewhere.append(work)
            elif not self._is_finished(work.shard):
                return work
            else:  # somebody has just finished it
                self._leases.give_back(work.shard.id)
                self._report(ShardElsewhere(work.shard.id, work.shard.n_clips))
        return None

    def _look_elsewhere(self) -> None:
        """Of the shards that other drivers have, forget those they finished; a few may have become
        free."""
        if not self._elsewhere or time.monotonic() < self._look_again_at:
            return
        self._look_again_at = time.monotonic() + LOOK_EVERY_S
        committed = commits.newest(self._layout)
        left = []
        for work in self._elsewhere:
            if committed.get(work.shard.id, -1) < work.shard.generation:
                left.append(work)
            else:
                self._report(ShardElsewhere(work.shard.id, work.shard.n_clips))
        self._todo.extend(left[:LOOKED_AT])
        self._elsewhere = deque(left[LOOKED_AT:])

    def _is_finished(self, shard: PlannedShard) -> bool:
        return commits.is_finished(self._layout, shard.id, shard.generation)

    def _listen(self) -> None:
        """Hear every worker out. A dead one is heard to its last message first."""
        self._workplace.wait(self._workers, timeout_s=WAIT_S)
        for worker in self._workers:
            for message in worker.messages():
                self._hear(worker, message)

    def _note(self, loaded: Loaded) -> None:
        add_weights(self._layout, self._record, loaded.weights)
        add_deviations(self._layout, loaded.deviations)

    def _hear(self, worker: WorkerHandle, message: Any) -> None:
        match message:
            case Loaded():
                self._note(message)
                worker.ready = True
            case WantsMore():
                worker.wants_more = True
            case ShardEnded(shard, end):
                work = worker.ended()
                if end != "interrupted":
                    self._leases.give_back(shard)
                    self._report(ShardDone(worker.config.number, shard))
                elif not self._signals.stopping:
                    self._todo.appendleft(work)  # somebody else asked that worker to stop
            case Broken(error, trace):
                log = worker.log
                raise error or WorkerBroke(f"worker {worker.config.number} ({log}):\n{trace}")
            case ClipBegun():
                self._watchdog.begun(message)
                self._report(message)
            case ClipDone(number, uri, clip_index):
                self._watchdog.done(number, uri, clip_index)
                self._report(message)
            case ClipFailed(number, uri, clip_index):
                self._watchdog.failed(number, uri, clip_index)
                self._report(message)
            case ShardBegun(attempt=attempt):
                worker.attempt = attempt
                self._deaths_before_work = 0
                self._report(message)
            case _:
                self._report(message)

    def _stop_hung(self) -> None:
        """Kill workers whose clip takes far too long; their shards go on without that clip."""
        for hung in self._watchdog.overdue():
            for worker in [w for w in self._workers if w.config.number == hung.clip.worker]:
                self._workers.remove(worker)
                worker.kill()
                self._watchdog.lost(worker.config.number)
                self._record_hung(worker, hung)
                self._todo.extendleft(reversed(worker.work))
                self._replace(worker)

    def _bury(self) -> None:
        """Put what dead workers had in hand first in line, isolated, and start new ones."""
        for worker in [w for w in self._workers if w.silent]:
            self._workers.remove(worker)
            self._watchdog.lost(worker.config.number)
            self._mourn(worker)
            worker.kill()
            self._replace(worker)

    def _replace(self, worker: WorkerHandle) -> None:
        if (self._todo or self._elsewhere) and not self._signals.stopping:
            self._workers.append(self._workplace.start(worker.config))

    def _mourn(self, worker: WorkerHandle) -> None:
        """Take back what it was given: what it had begun goes to the next one isolated, unless
        the worker was lost with its machine."""
        exit_code = worker.exit_code
        begun = worker.work[0] if worker.attempt is not None else None
        self._todo.extendleft(reversed(worker.work))
        if exit_code == 0:
            return  # it was asked to stop
        self._report(WorkerDied(worker.config.number, exit_code, begun.shard.id if begun else None))
        if exit_code is None:
            return
        if begun is not None:
            self._todo[0] = Work(begun.shard, isolated=True)
            self._record_death(worker, begun, exit_code)
        else:
            self._deaths_before_work += 1
            if self._deaths_before_work >= DEATHS_BEFORE_WORK:
                when = "before it began a shard" if worker.ready else "while it loaded its models"
                raise NothingToRun(
                    f"worker {worker.config.number} died {counted(DEATHS_BEFORE_WORK, 'time')} "
                    f"{when} (exit code {exit_code}: {worker.last_words()}); see {worker.log}"
                )

    def _record_death(self, worker: WorkerHandle, work: Work, exit_code: int) -> None:
        edition = work.shard.edition
        if worker.attempt is not None and not self._is_finished(work.shard):
            with Journal(self._layout.journal(edition, worker.attempt)) as journal:
                journal.write(Died(work.isolated, exit_code))
            if read_past(self._layout, edition).deaths_elsewhere >= DEATHS_OUTSIDE_CLIPS:
                raise MassannotError(
                    f"shard {work.shard.id}: its worker died "
                    f"{counted(DEATHS_OUTSIDE_CLIPS, 'time')} with no "
                    f"clip in hand (exit code {exit_code}: {worker.last_words()}); "
                    f"see {worker.log}"
                )

    def _record_hung(self, worker: WorkerHandle, hung: Hung) -> None:
        """The row of a clip that was stopped, unless it ended at the last moment."""
        clip = ClipKey(hung.clip.uri, hung.clip.clip_index)
        shard = worker.work[0].shard
        if worker.attempt is None or self._is_finished(shard):
            return
        if read_past(self._layout, shard.edition).is_settled(clip):
            return
        message = f"stopped: not done within {hung.allowed_s:.0f} s"
        failed = Failed(clip, "process", "hung", message, "failed")
        with Journal(self._layout.journal(shard.edition, worker.attempt)) as journal:
            journal.write(failed)
        self._report(
            ClipFailed(
                worker.config.number,
                clip.uri,
                clip.clip_index,
                "process",
                "hung",
                message,
                "failed",
            )
        )
