"""EdgeTAM as a MaskPropagator: SAM 2 with a small backbone and memories pressed into few tokens.

Everything around the network is SAM 2's: prompts, the session, its bounded memory, several objects
a pass. The backbone is timm's RepViT, and timm needs torchvision: an extra of its own. A
configuration that does not name its backbone builds another one without a word (transformers 5.23:
Hiera or ResNet-50), so weights whose config.json names no RepViT are refused.
Source: Zhou et al. 2025, arXiv:2501.07256, through transformers' port.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from massannot.errors import MissingWeights, NothingToRun
from massannot.models.sam2.propagator import Sam2Video
from massannot.models.weights import LocalWeights

if TYPE_CHECKING:
    from massannot.models.sam2.passes import ObjectPasses


@dataclass
class EdgeTamVideo(Sam2Video):
    """Options are SAM 2's; `setup` loads the weights."""

    name: ClassVar[str] = "edgetam_video"

    def setup(self, *, device: str) -> None:
        """Load weights onto `device`. Raises NothingToRun without the extra, and MissingWeights."""
        _require_timm()
        super().setup(device=device)

    def _network(self, local: LocalWeights, *, device: str) -> tuple[Any, Any, type[ObjectPasses]]:
        from massannot.models.networks import load_network, refuse_other_architecture
        from massannot.models.sam2.latent_memories import EdgeTamPasses
        from massannot.models.sam2.places import LibraryEncoder, keep_neck_places
        from massannot.models.transformers_import import transformers_class

        kind = transformers_class("EdgeTamVideoModel")
        refuse_other_architecture(kind, local)
        _refuse_other_backbone(local)
        net = load_network(kind, local, device=device)
        keep_neck_places(net)
        return net, LibraryEncoder(net), EdgeTamPasses


def _require_timm() -> None:
    try:
        import timm  # noqa: F401
    except (ImportError, RuntimeError) as error:  # the second: torchvision of another torch
        raise NothingToRun(
            "edgetam_video: its backbone needs timm, and timm torchvision, built for the same "
            f"torch; importing them said {type(error).__name__}: {error}; pip install "
            "'massannot[edgetam]', with the index URL that torch came from"
        ) from error


def _refuse_other_backbone(local: LocalWeights) -> None:
    from transformers import EdgeTamVideoConfig

    vision = EdgeTamVideoConfig.from_pretrained(local.folder, local_files_only=True).vision_config
    backbone = vision.backbone_config
    found = getattr(backbone, "architecture", backbone.model_type)
    if not found.startswith("repvit"):
        raise MissingWeights(
            f"EdgeTAM from {local.folder}: config.json builds the backbone {found!r}, expected a "
            "RepViT; take the configuration that was published with these weights"
        )
