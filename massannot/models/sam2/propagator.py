"""SAM 2 (and 2.1) as a MaskPropagator: objects prompted by a box or mask, followed both ways.

Runs on the network's own modules rather than transformers' inference session: frames are read and
encoded when needed, memory is bounded, objects may come and go at any time without a reset, and
several go through the network together. A test holds it equal to that session, number for number.
Source: Ravi et al. 2024, arXiv:2408.00714, through transformers' port.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from massannot.clip import Frames
from massannot.models.protocols import ModelCard
from massannot.models.runtime import Dtype
from massannot.models.weights import LocalWeights, Weights, find

if TYPE_CHECKING:
    from massannot.models.sam2.passes import ObjectPasses
    from massannot.models.sam2.session import LoadedSam2, Sam2Session


@dataclass
class Sam2Video:
    """Options; `setup` loads the weights."""

    name: ClassVar[str] = "sam2_video"

    weights: Weights
    box_as_mask: bool = False
    """Give the box also as a dense mask prompt: what small networks learn from."""
    encode_batch: int = 0
    """Frames per pass of the image encoder; 0: one on the CPU, eight on CUDA."""
    object_batch: int = 16
    """Objects per pass of the memory and the mask decoder."""
    kept_mib: int = 0
    """Encoded pictures that are kept; 0: 256 on the CPU, 2048 on CUDA. Beyond, a frame is encoded
    again when the way back needs it."""
    dtype: Dtype = "auto"
    """auto on CUDA: bfloat16, as the authors run it."""
    compile: bool = False
    """torch.compile on the image encoder."""
    _loaded: LoadedSam2 | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Load weights onto `device`. Raises MissingWeights."""
        import torch

        from massannot.models.networks import n_parameters
        from massannot.models.preprocess import normalization_from, processor_config
        from massannot.models.sam2.session import LoadedSam2

        local = find(self.weights)
        net, encoder, passes = self._network(local, device=device)
        card = local.card(name=self.name, n_parameters=n_parameters(net))
        if self.compile:
            encoder = torch.compile(encoder)
        self._loaded = LoadedSam2(
            net, encoder, normalization_from(processor_config(local.folder)), device, card, passes
        )

    def _network(self, local: LocalWeights, *, device: str) -> tuple[Any, Any, type[ObjectPasses]]:
        """The network on `device`, its image encoder, and its passes behind that."""
        from massannot.models.networks import load_network
        from massannot.models.sam2.hiera import HieraEncoder
        from massannot.models.sam2.passes import ObjectPasses
        from massannot.models.transformers_import import transformers_class

        net = load_network(transformers_class("Sam2VideoModel"), local, device=device)
        return net, HieraEncoder(net), ObjectPasses

    def destroy(self) -> None:
        """Give memory back."""
        self._loaded = None

    def card(self) -> ModelCard:
        """The identity of the weights; complete after `setup`."""
        if self._loaded is None:
            return ModelCard(self.name, str(self.weights), self.weights.revision)
        return self._loaded.card

    def session(self, frames: Frames) -> Sam2Session:
        """A fresh session over one clip; pictures are read when needed."""
        from massannot.models.sam2.session import Sam2Session

        if self._loaded is None:
            raise RuntimeError(f"{type(self).__name__}: setup() comes before session()")
        return Sam2Session(self._loaded, self, frames)
