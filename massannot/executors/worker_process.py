"""A worker in a process of its own: `python -m massannot.executors.worker_process DESCRIPTOR`.

Unusual: started by `subprocess`, not by `multiprocessing`, so
that a user's script needs no `if __name__ == "__main__"`, and in a session of its own, so that a
Ctrl-C in the terminal reaches the driver alone. When its driver dies it ends at once.
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
from multiprocessing.connection import Connection
from typing import Any

from massannot.errors import MassannotError
from massannot.executors.messages import Broken, Loaded, ShardEnded, Stop, Work
from massannot.executors.order import Order, load, worker_of

LOG = logging.getLogger(__name__)


def serve(connection: Connection) -> None:
    """Work shards off until told to stop."""
    order: Order = connection.recv()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    messages: queue.SimpleQueue[Work | Stop] = queue.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(connection, messages, stopping), daemon=True)
    listener.start()
    try:
        pipeline, weights = load(order, connection.send)
        connection.send(Loaded(weights))
        worker = worker_of(order, pipeline, report=connection.send, is_stopping=stopping.is_set)
        while isinstance(message := messages.get(), Work) and not stopping.is_set():
            end = worker.work(message.shard, isolated=message.isolated)
            connection.send(ShardEnded(message.shard.id, end))
        pipeline.destroy()
    except Exception as error:
        LOG.exception("worker %d stops", order.number)
        connection.send(Broken(_to_raise_again(error), traceback.format_exc()))


def _listen(
    connection: Connection, messages: queue.SimpleQueue[Work | Stop], stopping: threading.Event
) -> None:
    """Hear the driver while the models work. Without a driver nobody would commit: end."""
    while True:
        try:
            message: Any = connection.recv()
        except (EOFError, OSError):
            os._exit(1)
        if isinstance(message, Stop):
            stopping.set()
        messages.put(message)


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
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    serve(Connection(descriptor))


if __name__ == "__main__":
    main()
