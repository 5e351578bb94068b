"""The Ray workplace: one actor a GPU, or k, or N on CPUs, across a cluster. The only file with ray.

An actor is a relay: it starts the same worker process as the local workplace on its machine and
forwards messages as bytes. So a clip that kills its process kills no actor, the exit code is
known, and an actor that is lost blames no clip. Frames never cross Ray. Ray retries nothing: an
actor that has once not answered is never spoken to again, and its successor gets work when its
models are loaded.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massannot.counts import counted
from massannot.dataset.layout import WORK_DIR, Layout
from massannot.engine.handles import ChildProcess, WorkerHandle, last_line, log_of, start_process
from massannot.engine.settings import ExecutorSettings
from massannot.engine.worker_config import WorkerConfig
from massannot.errors import NothingToRun, UsageError

if TYPE_CHECKING:
    import ray

LISTEN_S = 5.0
"""One call that waits for messages; while it waits nothing crosses the cluster."""
THREADS = "OMP_NUM_THREADS"
UNPLACED_S = 300.0
"""So long a run waits for its first actor to be placed: a cluster may have to grow."""


@contextlib.contextmanager
def joined_cluster(settings: ExecutorSettings, layout: Layout) -> Iterator[Cluster]:
    """The workplace on a Ray cluster; the output folder and the videos are reached under the same
    names from every machine.

    Raises UsageError without ray and for an output in a bucket whose working folder is not shared,
    NothingToRun where no cluster answers or it has no such device.
    """
    with _joined(settings.address):
        cluster = Cluster(settings.device, settings.workers, settings.actors_per_gpu or 1)
        _refuse_scattered(layout, cluster.n_machines)
        yield cluster


class RayWorker(WorkerHandle):
    """A worker process on some machine of the cluster, spoken to through its actor."""

    def __init__(self, config: WorkerConfig, relay: Any):
        super().__init__(config)
        self._relay = relay
        self._exit_code: int | None = None
        self._why_lost = ""
        self.started_at = time.monotonic()
        self.placed = False
        """Its actor has answered."""
        self.next_words = self._listen()

    @property
    def exit_code(self) -> int | None:
        return self._exit_code

    def _listen(self) -> ray.ObjectRef[Any]:
        return self._relay.listen.options(concurrency_group="listen").remote()

    def messages(self) -> Iterator[Any]:
        import ray

        ready, _ = ray.wait([self.next_words], timeout=0)
        if self.silent or not ready:
            return
        try:
            said, self._exit_code = ray.get(self.next_words)
        except ray.exceptions.RayError as error:
            self._why_lost = str(error)
            self._exit_code = _exit_code_of(error)
            self.silent = True
            return
        self.placed = True
        if self._exit_code is None:
            self.next_words = self._listen()
        else:
            self.silent = True
        for message in said:
            yield pickle.loads(message)

    def say(self, message: object) -> None:
        self._relay.say.options(concurrency_group="speak").remote(pickle.dumps(message))

    def last_words(self) -> str:
        return self._why_lost or last_line(self.log)

    def join(self) -> None:
        deadline = time.monotonic() + 10
        while self.placed and not self.silent and time.monotonic() < deadline:
            for _ in self.messages():
                pass
            time.sleep(0.02)

    def kill(self) -> None:
        import ray

        with contextlib.suppress(ray.exceptions.RayError):
            ended = self._relay.kill.remote()
            if self.placed and not self._why_lost:
                ray.wait([ended], timeout=5)
            ray.kill(self._relay, no_restart=True)


def _exit_code_of(error: Exception) -> int | None:
    """Of an actor that does not answer: None where its machine may be lost; 1 where the machine is
    there and could not start a worker, which it could not the next time either."""
    return 1 if getattr(error, "actor_init_failed", False) else None


class Cluster:
    """The workplace: where actors go, how many, and what each may use."""

    def __init__(self, device: str, workers: int | None, actors_per_gpu: int):
        import ray

        self.n_gpus = int(ray.cluster_resources().get("GPU", 0))
        self.n_machines = sum(node["Alive"] for node in ray.nodes())
        if device.startswith("cuda") and not self.n_gpus:
            raise NothingToRun(
                f"--device {device}: the Ray cluster of {counted(self.n_machines, 'machine')} "
                "has no GPU; use --device cpu, or start its machines with --num-gpus"
            )
        on_gpus = device != "cpu" and self.n_gpus > 0
        self.device = "cuda:0" if on_gpus else "cpu"  # Ray shows an actor its own GPU alone
        self.n_actors = workers or (self.n_gpus * actors_per_gpu if on_gpus else self.n_machines)
        self._options = {
            "num_cpus": 1,
            "num_gpus": 1 / actors_per_gpu if on_gpus else 0,
            "max_restarts": 0,
            "max_task_retries": 0,
            "scheduling_strategy": "SPREAD",
        }

    def start(self, config: WorkerConfig) -> RayWorker:
        import ray

        actor = ray.remote(concurrency_groups={"speak": 1, "listen": 1})(_Relay)
        relay = actor.options(**self._options).remote(
            str(log_of(config)), pickle.dumps(config), _settings()
        )
        return RayWorker(config, relay)

    def wait(self, workers: Sequence[RayWorker], *, timeout_s: float) -> None:
        import ray

        ray.wait([worker.next_words for worker in workers], timeout=timeout_s)
        started = min(worker.started_at for worker in workers)
        if time.monotonic() - started > UNPLACED_S and not any(w.placed for w in workers):
            raise NothingToRun(
                f"no actor was placed within {UNPLACED_S:.0f} s; each asks for {self._options}, "
                f"free in the cluster: {ray.available_resources()}; see `ray status`"
            )


class _Relay:
    """The actor: starts a worker process on its machine and hands messages through."""

    def __init__(self, log: str, config: bytes, settings: dict[str, str]):
        os.environ.pop(THREADS, None)  # Ray's choice; bits depend on it
        os.environ.update(settings)
        self._line, self._process = start_process(Path(log), ChildProcess.module)
        self._line.send_bytes(config)

    def say(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # `listen` finds out
            self._line.send_bytes(message)

    def listen(self) -> tuple[list[bytes], int | None]:
        """What the process has said, as soon as it says something; its exit code once it ended."""
        said = []
        try:
            waiting = self._line.poll(LISTEN_S)
            while waiting:
                said.append(self._line.recv_bytes())
                waiting = self._line.poll()
        except (EOFError, OSError):
            return said, self._process.wait()
        return said, None

    def kill(self) -> None:
        self._process.kill()


def _settings() -> dict[str, str]:
    """Variables of the driver that decide bits, or where things lie."""
    return {k: v for k, v in os.environ.items() if k == THREADS or k.startswith("MASSANNOT_")}


def _refuse_scattered(layout: Layout, n_machines: int) -> None:
    """Journals of an output in a bucket lie in a working folder. Where every machine has its own,
    nobody would see which clip has killed which worker before."""
    if layout.in_bucket and n_machines > 1 and WORK_DIR not in os.environ:
        raise UsageError(
            f"-o {layout.out}: a Ray cluster of {counted(n_machines, 'machine')} needs a "
            f"working folder that all of them share; give --work-dir, or set {WORK_DIR}"
        )


@contextlib.contextmanager
def _joined(address: str | None) -> Iterator[None]:
    """Ray, joined or started; left or stopped afterwards, unless the caller had joined already.

    No usage statistics; a Ray of our own asks everybody for a token, has no dashboard and listens
    on the loopback device. Ray reads these once: a program that imported it before has Ray's own
    choices, which are a token too, and all network devices.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None and "ray" not in sys.modules:
        # The one switch by which all of Ray binds to 127.0.0.1; _node_ip_address is not heeded.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        if os.environ["RAY_AUTH_MODE"] == "token":
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise UsageError("--executor ray: ray is missing; pip install 'massannot[ray]'") from error
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"include_dashboard": False} if address is None else {}
    before = signal.getsignal(signal.SIGTERM)  # ray takes it
    with contextlib.redirect_stdout(sys.stderr):  # where ray tells of lost machines
        try:
            ray.init(
                address or "local",
                log_to_driver=False,
                logging_level=logging.WARNING,
                configure_logging=False,
                **options,
            )
        except ConnectionError as error:
            raise NothingToRun(f"no Ray cluster answers at {address}: {error}") from error
        try:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, before)
            yield
        finally:
            ray.shutdown()
