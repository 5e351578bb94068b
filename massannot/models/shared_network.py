"""SharedNetwork: one network in a process for the adapters of several jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from massannot.models.weights import Weights

Loaded = TypeVar("Loaded")


class SharedNetwork(Generic[Loaded]):
    """What `load` makes of weights on a device, once; given up with the last adapter that holds
    it."""

    def __init__(self, load: Callable[[Weights, str], Loaded]):
        self._load = load
        self._in_use: WeakValueDictionary[tuple[str, str, str], Loaded] = WeakValueDictionary()

    def of(self, weights: Weights, device: str) -> Loaded:
        """Raises what `load` raises."""
        key = (str(weights), weights.revision, device)
        loaded = self._in_use.get(key)
        if loaded is None:
            loaded = self._in_use[key] = self._load(weights, device)
        return loaded
