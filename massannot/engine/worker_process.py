"""A worker in a process of its own: `python -m massannot.engine.worker_process DESCRIPTOR`.

Unusual: it runs in a session of its own, so that a Ctrl-C in the terminal reaches the driver alone.
When its driver dies it ends at once.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from massannot.engine.messages import Broken, ShardEnded, Stop, WantsMore, Work
from massannot.engine.worker import Worker
from massannot.engine.worker_config import WorkerConfig, load, worker_of
from massannot.errors import MassannotError
from massannot.models.transformers_import import infer_only
from massannot.storage.arrow_alone import leave_pandas_out

LOG = logging.getLogger(__name__)


def serve(connection: Connection) -> None:
    """Work shards off until told to stop."""
    config: WorkerConfig = connection.recv()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = _Line(connection)
    try:
        pipeline, loaded = load(config, line.send)
        if all(type(stage).__module__.startswith("massannot.") for stage in pipeline.stages):
            leave_pandas_out()  # a stage of somebody else may ask Arrow for it
        worker = worker_of(
            config,
            pipeline,
            report=line.send,
            is_stopping=stopping.is_set,
            wants_more=lambda: line.send(WantsMore()),
        )
        line.send(loaded)
        for work in line.listen(worker, stopping):
            end = worker.work(work.shard, isolated=work.isolated)
            line.send(ShardEnded(work.shard.id, end))
        worker.close()
        pipeline.destroy()
    except Exception as error:
        LOG.exception("worker %d stops", config.number)
        line.send(Broken(_to_raise_again(error), traceback.format_exc()))


class _Line:
    """The connection, heard in a thread while the models work, and spoken into by several."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._speaking = threading.Lock()
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()

    def send(self, message: object) -> None:
        with self._speaking:
            self._connection.send(message)

    def listen(self, worker: Worker, stopping: threading.Event) -> Iterator[Work]:
        """What is to be done, until told to stop."""
        threading.Thread(target=self._hear, args=(worker, stopping), daemon=True).start()
        while (work := self._work.get()) is not None and not stopping.is_set():
            yield work

    def _hear(self, worker: Worker, stopping: threading.Event) -> None:
        """Without a driver nobody would commit: end at once."""
        while True:
            try:
                message: Any = self._connection.recv()
            except (EOFError, OSError):
                os._exit(1)
            if isinstance(message, Stop):
                stopping.set()
                self._work.put(None)
            else:
                if not message.isolated:
                    worker.announce(message.shard)
                self._work.put(message)


def _to_raise_again(error: Exception) -> MassannotError | None:
    """The error itself where it is ours and survives pickling."""
    if not isinstance(error, MassannotError):
        return None
    try:
        copy: MassannotError = pickle.loads(pickle.dumps(error))
    except Exception:  # an exception with a constructor of its own
        return MassannotError(str(error))
    return copy


def main() -> None:
    faulthandler.enable()
    infer_only()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    serve(Connection(descriptor))


if __name__ == "__main__":
    main()
