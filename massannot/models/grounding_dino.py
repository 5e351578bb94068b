"""Grounding DINO as a PhraseDetector: boxes of free-text phrases in key frames.

A box's score for a phrase is the highest probability among that phrase's tokens. A box is kept if
its best phrase passes `box_threshold`; it answers for every phrase whose own score also passes
`text_threshold`. That is transformers' rule, except that full stops and [CLS] never count.
Prompts over the text limit become several forward passes, so boxes of different passes do not
compete.

Unusual: phrases asked together are told apart better than phrases asked alone (BENCHMARKS.md), so
they share a text, and a phrase's boxes depend on the others in it. A phrase that comes later is
therefore asked behind the earlier ones (`detect_added`), whose boxes stay as they are.
Source: Liu et al. 2023, arXiv:2303.05499, through transformers' port.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from massannot.clip import Frames
from massannot.errors import BadModelOutput, MissingWeights
from massannot.geometry.camera import clipped_xyxy, xyxy_from_normalized_cxcywh
from massannot.models.protocols import Detections, ModelCard
from massannot.models.runtime import Dtype, micro_batch
from massannot.models.text_prompts import STOP, DetectorPrompt, prompts_of, vocabulary_of
from massannot.models.weights import Weights, find

if TYPE_CHECKING:
    import torch

    from massannot.models.preprocess import Normalization

CANDIDATES = 300
"""Best boxes of a phrase that duplicate suppression looks at: far more than a picture holds."""

F32 = npt.NDArray[np.float32]


@dataclass
class GroundingDino:
    """Options; `setup` loads the weights."""

    weights: Weights
    box_threshold: float = 0.35
    text_threshold: float = 0.25
    top_k: int = 10
    """Boxes per phrase and frame, the best ones."""
    nms_iou: float = 0.0
    """Within one phrase, drop a box that overlaps a better one by more; 0: keep all."""
    readout: Literal["decoder", "encoder"] = "decoder"
    """encoder: the proposal head of the same forward pass, for networks too small to have learnt
    a decoder; it answers once per image token, so it wants `nms_iou`."""
    batch: int = 0
    """Frames per forward pass; 0: one on the CPU, four on CUDA."""
    dtype: Dtype = "auto"
    """auto: float32 everywhere; boxes are refined in logits, which bfloat16 would round."""
    compile: bool = False
    name: ClassVar[str] = "grounding_dino"
    network: ClassVar[str] = "GroundingDinoForObjectDetection"
    """The class of transformers; another of the same inputs and outputs is another adapter."""
    _loaded: _LoadedDetector | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def vocabulary(self) -> frozenset[str] | None:
        """The words that the weights know; None: any. Known before `setup`."""
        return vocabulary_of(self.weights)

    def setup(self, *, device: str) -> None:
        """Load weights onto `device`. Raises MissingWeights."""
        import torch

        from massannot.models.networks import (
            load_network,
            n_parameters,
            refuse_other_architecture,
        )
        from massannot.models.preprocess import normalization_from, processor_config
        from massannot.models.transformers_import import transformers_class

        local = find(self.weights)
        kind = transformers_class(self.network)
        refuse_other_architecture(kind, local)
        net = load_network(kind, local, device=device)
        tokenizer = transformers_class("AutoTokenizer").from_pretrained(
            local.folder, local_files_only=True
        )
        if tokenizer(".", add_special_tokens=False)["input_ids"] != [STOP]:
            raise MissingWeights(
                f"tokenizer of {local.folder}: '.' is not token {STOP}, the border between phrases "
                "that is built into the network; these are the files of another model"
            )
        config = processor_config(local.folder)
        size = config.get("size", {})
        self._loaded = _LoadedDetector(
            net=torch.compile(net) if self.compile else net,
            tokenizer=tokenizer,
            text_limit=min(net.config.max_text_len, net.config.text_config.max_position_embeddings),
            fixed=(int(size["height"]), int(size["width"])) if "height" in size else None,
            shortest=int(size.get("shortest_edge", 800)),
            longest=int(size.get("longest_edge", 1333)),
            normalize=normalization_from(config),
            device=device,
            card=local.card(name=self.name, n_parameters=n_parameters(net)),
            vocabulary=self.vocabulary,
        )

    def destroy(self) -> None:
        """Give memory back."""
        self._loaded = None

    def card(self) -> ModelCard:
        """The identity of the weights; complete after `setup`."""
        if self._loaded is None:
            return ModelCard(self.name, str(self.weights), self.weights.revision)
        return self._loaded.card

    def detect(self, frames: Frames, *, at: Sequence[int], phrases: Sequence[str]) -> Detections:
        """Boxes of every phrase in the frames `at`, best first within (frame, phrase).

        Raises BadPhrase for a phrase that cannot be asked, BadModelOutput for NaN.
        """
        return self.detect_added(frames, at=at, phrases=phrases, earlier=())

    def detect_added(
        self, frames: Frames, *, at: Sequence[int], phrases: Sequence[str], earlier: Sequence[str]
    ) -> Detections:
        """Boxes of `phrases` as `detect` answers them behind `earlier`, which get no rows.

        Texts that hold earlier phrases alone cost no pass. Raises as `detect` does.
        """
        from massannot.models.networks import frames_on
        from massannot.models.preprocess import resized

        loaded = self._ready()
        prompts = prompts_of(
            (*earlier, *phrases), loaded.tokenize, limit=loaded.text_limit,
            vocabulary=loaded.vocabulary,
        )  # fmt: skip
        prompts = tuple(prompt for prompt in prompts if prompt.phrases[-1] >= len(earlier))
        height, width = loaded.input_size(frames.height, frames.width)
        pixels = frames_on(frames, loaded.device)
        step = micro_batch(self.batch or (4 if loaded.device.startswith("cuda") else 1))
        answers: list[_PhraseBoxes] = []
        for first in range(0, len(at), step):
            chosen = list(at[first : first + step])
            levels = resized(pixels[chosen], height=height, width=width, interpolation="bilinear")
            values = loaded.normalize(levels)
            for prompt in prompts:
                scores, boxes = self._best(loaded, values, prompt)
                for row, frame in enumerate(chosen):
                    for column, place in enumerate(prompt.phrases):
                        if (phrase := place - len(earlier)) >= 0:
                            best = scores[row, column], boxes[row, column]
                            answers.append(self._answer(frames, frame, phrase, *best))
        return _detections(answers)

    def _best(
        self, loaded: _LoadedDetector, values_BCHW: torch.Tensor, prompt: DetectorPrompt
    ) -> tuple[F32, F32]:
        """The best boxes of each phrase of one prompt: scores (B, P, k), 0 where none passed, and
        normalised cxcywh (B, P, k, 4)."""
        import torch

        logits_BQL, boxes_BQ4 = self._read(loaded, values_BCHW, prompt)
        scores_BPQ = torch.stack(
            [logits_BQL[..., first:end].amax(-1) for first, end in prompt.spans], dim=1
        ).sigmoid()
        passed = (scores_BPQ.amax(1, keepdim=True) > self.box_threshold) & (
            scores_BPQ > self.text_threshold
        )
        wanted = max(self.top_k, CANDIDATES) if self.nms_iou else self.top_k
        passed |= scores_BPQ.isnan()  # so that it is seen, and refused
        top = torch.where(passed, scores_BPQ, 0).topk(min(wanted, scores_BPQ.shape[-1]), dim=-1)
        index = top.indices.flatten(1)[..., None].expand(-1, -1, 4)
        chosen = boxes_BQ4.gather(1, index).unflatten(1, top.indices.shape[1:])
        return top.values.cpu().numpy(), chosen.cpu().numpy()

    def _read(
        self, loaded: _LoadedDetector, values_BCHW: torch.Tensor, prompt: DetectorPrompt
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        from massannot.models.networks import inference

        ids = torch.tensor(prompt.ids, device=loaded.device).expand(len(values_BCHW), -1)
        with inference(self.dtype, device=loaded.device, auto="float32"):
            out = loaded.net(
                pixel_values=values_BCHW,
                input_ids=ids,
                token_type_ids=torch.zeros_like(ids),
                attention_mask=torch.ones_like(ids),
            )
            if self.readout == "decoder":
                return out.logits.float(), out.pred_boxes.float()
            boxes = out.enc_outputs_coord_logits.float()
            valid = boxes.isfinite().all(-1, keepdim=True)  # proposals at the rim are infinite
            logits = out.enc_outputs_class.float().masked_fill(~valid, -torch.inf)
            return logits, boxes.sigmoid()

    def _answer(
        self, frames: Frames, frame: int, phrase: int, scores: F32, boxes_cxcywh: F32
    ) -> _PhraseBoxes:
        """One phrase's boxes in one frame: in working pixels, inside the picture, best first."""
        if not (np.isfinite(scores).all() and np.isfinite(boxes_cxcywh[scores > 0]).all()):
            raise BadModelOutput(f"boxes of {frames.source_id}, frame {frame}: found NaN")
        passed = scores > 0
        scores, boxes_cxcywh = scores[passed], boxes_cxcywh[passed]
        boxes = clipped_xyxy(
            xyxy_from_normalized_cxcywh(boxes_cxcywh, width=frames.width, height=frames.height),
            width=frames.width,
            height=frames.height,
        ).astype(np.float32)
        inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        scores, boxes = scores[inside], boxes[inside]
        order = np.argsort(-scores, kind="stable")
        if self.nms_iou:
            order = order[_unlike_better(boxes[order], self.nms_iou)]
        order = order[: self.top_k]
        return _PhraseBoxes(frame, phrase, scores[order], boxes[order])

    def _ready(self) -> _LoadedDetector:
        if self._loaded is None:
            raise RuntimeError(f"{type(self).__name__}: setup() comes before detect()")
        return self._loaded


@dataclass(frozen=True)
class _LoadedDetector:
    net: Any
    tokenizer: Any
    text_limit: int
    fixed: tuple[int, int] | None
    shortest: int
    longest: int
    normalize: Normalization
    device: str
    card: ModelCard
    vocabulary: frozenset[str] | None

    def tokenize(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        from massannot.models.preprocess import size_with_shortest_edge

        if self.fixed is not None:
            return self.fixed
        return size_with_shortest_edge(height, width, shortest=self.shortest, longest=self.longest)


@dataclass(frozen=True, eq=False)
class _PhraseBoxes:
    frame: int
    phrase: int
    scores: F32
    boxes_xyxy: F32


def _unlike_better(boxes_xyxy: F32, iou: float) -> npt.NDArray[np.intp]:
    """Indices of boxes, given best first, that overlap no kept better one by more than `iou`."""
    chosen: list[int] = []
    for index, box in enumerate(boxes_xyxy):
        if not chosen or _ious(box, boxes_xyxy[chosen]).max() <= iou:
            chosen.append(index)
    return np.array(chosen, np.intp)


def _ious(box: F32, others: F32) -> F32:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    ratio: F32 = shared / (areas - shared)
    return ratio


def _detections(answers: Sequence[_PhraseBoxes]) -> Detections:
    """Rows by frame in the order asked, phrase, falling score."""
    rank = {frame: i for i, frame in enumerate(dict.fromkeys(f.frame for f in answers))}
    ordered = sorted(answers, key=lambda f: (rank[f.frame], f.phrase))
    counts = [len(f.scores) for f in ordered]
    no_boxes, no_scores = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
    return Detections(
        frame=np.repeat(np.array([f.frame for f in ordered], np.int32), counts),
        phrase=np.repeat(np.array([f.phrase for f in ordered], np.int32), counts),
        boxes_xyxy=np.concatenate([no_boxes, *(f.boxes_xyxy for f in ordered)]),
        score=np.concatenate([no_scores, *(f.scores for f in ordered)]),
    )
