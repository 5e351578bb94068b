"""What a driver and its worker processes say to each other, besides progress events.

Pickled between two processes of one program, over a socket pair; never read from a file.
"""

from __future__ import annotations

from dataclasses import dataclass

from massannot.dataset.record import Deviation, LoadedWeights
from massannot.engine.worker import ShardEnd
from massannot.errors import MassannotError
from massannot.plan.folder import PlannedShard


@dataclass(frozen=True)
class Work:
    shard: PlannedShard
    isolated: bool


@dataclass(frozen=True)
class Stop:
    """Finish the clip in hand, then end."""


@dataclass(frozen=True)
class Loaded:
    """The models are there: which weights they are, and what their precision does, if measured."""

    weights: tuple[LoadedWeights, ...]
    deviations: tuple[Deviation, ...] = ()


@dataclass(frozen=True)
class WantsMore:
    """Everything given has been read: another shard could be read while this one is worked on."""


@dataclass(frozen=True)
class ShardEnded:
    shard: str
    end: ShardEnd


@dataclass(frozen=True)
class Broken:
    """Something rose that is no clip's fault. `error` is a MassannotError that the driver can
    raise again, None for a bug."""

    error: MassannotError | None
    trace: str
