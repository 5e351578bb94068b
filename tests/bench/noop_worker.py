"""A worker process that speaks like a real one and does nothing with its clips."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection

from massannot.engine.handles import ChildProcess, ChildProcesses
from massannot.engine.messages import Loaded, ShardEnded, Stop
from massannot.engine.progress import ClipBegun, ClipDone, ShardBegun
from massannot.engine.worker_config import WorkerConfig


class NoopProcess(ChildProcess):
    module = "tests.bench.noop_worker"


class NoopProcesses(ChildProcesses):
    def start(self, config: WorkerConfig) -> NoopProcess:
        return NoopProcess(config)


def main() -> None:
    connection = Connection(int(sys.argv[1]))
    connection.recv()
    connection.send(Loaded(()))
    while not isinstance(work := connection.recv(), Stop):
        connection.send(ShardBegun(0, work.shard.id, 1, False))
        for number in range(work.shard.n_spans):
            connection.send(ClipBegun(0, "clip.mp4", number, 1.0, 1))
            connection.send(ClipDone(0, "clip.mp4", number, "id", 100, 0.0, ()))
        connection.send(ShardEnded(work.shard.id, "committed"))


if __name__ == "__main__":
    main()
