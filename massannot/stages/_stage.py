"""BaseStage: what every stage shares. Its options and models are fields, its name is its file's.

Unusual: `setup`, `destroy` and `cards` find the models among the fields by their methods, so a
stage with one model, three or none writes only `process`.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from massannot.clip import Clip
from massannot.models.protocols import ModelCard


@dataclass(frozen=True)
class BaseStage(abc.ABC):
    """A verb: reads some tables and rasters of a clip, writes others (see pipeline.Stage)."""

    reads: ClassVar[tuple[str, ...]] = ()
    """Tables, or the rasters `frames` and `depth`, that must exist before."""
    writes: ClassVar[tuple[str, ...]] = ()
    """Tables, or the raster `depth`, that exist afterwards: new ones or replaced ones."""
    uses_phrases: ClassVar[bool] = False
    """Whether it looks at `clip.phrases`: then other phrases give other tables."""
    fills: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Of tables that it replaces: the columns, null until then, that are all it changes."""

    @property
    def name(self) -> str:
        """The file's name: massannot/stages/estimate_depth.py is `estimate_depth`."""
        return type(self).__module__.rpartition(".")[2]

    @abc.abstractmethod
    def process(self, clip: Clip) -> Clip:
        """`clip` with the tables and rasters of `writes`. Raises ClipError."""

    def setup(self, *, device: str) -> None:
        """Load the models of the fields onto `device`. Raises MissingWeights."""
        for model in self._models():
            model.setup(device=device)

    def destroy(self) -> None:
        """Give the models' memory back."""
        for model in self._models():
            model.destroy()

    def cards(self) -> tuple[ModelCard, ...]:
        """Which weights answered, in the order of the fields."""
        return tuple(model.card() for model in self._models())

    def _models(self) -> Iterator[_Model]:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, _Model):
                yield value


@runtime_checkable
class _Model(Protocol):
    """protocols.Model, recognised by its methods."""

    def setup(self, *, device: str) -> None: ...

    def destroy(self) -> None: ...

    def card(self) -> ModelCard: ...
