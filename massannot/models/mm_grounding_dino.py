"""MM Grounding DINO as a PhraseDetector: Grounding DINO with another class head, trained again.

Its logits are scaled and shifted before they are compared with a text, and no two decoder layers
share a head; inputs, outputs and the borders between phrases are Grounding DINO's, so is the rule
by which boxes are read. Its weights are not Grounding DINO's: each refuses the other's files.
LLMDet's checkpoints have this architecture too.
Source: Zhao et al. 2024, arXiv:2401.02361, through transformers' port.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from massannot.models.grounding_dino import GroundingDino


@dataclass
class MMGroundingDino(GroundingDino):
    """Options as GroundingDino's; `setup` loads the weights."""

    name: ClassVar[str] = "mm_grounding_dino"
    network: ClassVar[str] = "MMGroundingDinoForObjectDetection"
