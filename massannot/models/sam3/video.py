"""SAM 3 video as a PhraseDetector and a MaskPropagator: one network, one pass over the clip.

The network looks for every phrase in every frame and follows what it finds, so boxes and masks come
out of the same pass: `detect` runs it and keeps its masks with the clip, and a `session` over these
frames gives an object the masks of that thing whose box or mask it is prompted with. Nothing else
can be followed: give both jobs to it. Phrases are asked together, each with objects of its own.

Runs on transformers' own session, on pictures that are read when needed, and forgets what the
tracker no longer looks at, so memory does not grow with the clip. Its processor is not used: it
imports torchvision. Order matters inside, so it is fixed: forwards, from the first frame.
Source: Carion et al. 2025, arXiv:2511.16719, through transformers' port.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from massannot.clip import Frames
from massannot.counts import counted
from massannot.errors import BadPhrase, ModelFailed
from massannot.geometry import rle
from massannot.models.protocols import (
    F32,
    Bool,
    Detections,
    FrameMasks,
    MaskSession,
    ModelCard,
    holds,
    point_of,
)
from massannot.models.runtime import Dtype
from massannot.models.shared_network import SharedNetwork
from massannot.models.weights import Weights, find

if TYPE_CHECKING:
    import torch

    from massannot.models.preprocess import Normalization

TEXT_TOKENS = 32
"""Every phrase is padded to so many; the network has no more places."""
HALF = (0.5, 0.5, 0.5)
"""Mean and deviation where the repository's processor says nothing."""


@dataclass
class Sam3Video:
    """Options; `setup` loads the weights."""

    weights: Weights
    dtype: Dtype = "auto"
    """auto on CUDA: bfloat16, as the authors run it."""
    _loaded: _LoadedSam3 | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Load weights onto `device`. Raises MissingWeights."""
        self._loaded = _NETWORK.of(self.weights, device)

    def destroy(self) -> None:
        """Give memory back, unless the other job's adapter uses the same network."""
        self._loaded = None

    def card(self) -> ModelCard:
        """The identity of the weights; complete after `setup`."""
        if self._loaded is None:
            return ModelCard("sam3_video", str(self.weights), self.weights.revision)
        return self._loaded.card

    def detect(self, frames: Frames, *, at: Sequence[int], phrases: Sequence[str]) -> Detections:
        """Boxes of the masks of every phrase in the frames `at`, best first within (frame, phrase);
        `track` is the object. Raises BadPhrase for a phrase of too many tokens."""
        objects = self._found(frames, tuple(phrases)) if phrases and len(at) else []
        rows = []
        for frame in at:
            mine = [thing for thing in objects if frame in thing.counts]
            mine.sort(key=lambda thing: (thing.phrase, -thing.scores[frame], thing.number))
            rows += [(frame, thing) for thing in mine]
        boxes = [thing.box(frame, frames) for frame, thing in rows]
        return Detections(
            frame=np.array([frame for frame, _ in rows], np.int32),
            phrase=np.array([thing.phrase for _, thing in rows], np.int32),
            boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
            score=np.array([thing.scores[frame] for frame, thing in rows], np.float32),
            track=np.array([thing.number for _, thing in rows], np.int32),
        )

    def session(self, frames: Frames) -> Sam3Session:
        """The objects of these frames. Raises ModelFailed where `detect` was not asked before."""
        self._ready("session")
        kept = _kept(frames, self.weights)
        if not kept:
            raise ModelFailed(
                f"SAM 3 of {frames.source_id}: found no boxes of its own, and it follows nothing "
                "else; give it both jobs, detect and masks, and no --reuse between them"
            )
        return Sam3Session([thing for objects in kept.values() for thing in objects], frames)

    def _found(self, frames: Frames, phrases: tuple[str, ...]) -> list[FollowedThing]:
        loaded = self._ready("detect")
        kept = _kept(frames, self.weights)
        if phrases not in kept:
            kept[phrases] = self._follow(loaded, frames, phrases)
        return kept[phrases]

    def _follow(
        self, loaded: _LoadedSam3, frames: Frames, phrases: tuple[str, ...]
    ) -> list[FollowedThing]:
        import torch
        from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession

        from massannot.models.networks import inference

        session = Sam3VideoInferenceSession(
            video_height=frames.height, video_width=frames.width, dtype=torch.float32,
            inference_device=loaded.device, inference_state_device=loaded.device,
            video_storage_device=loaded.device,
        )  # fmt: skip
        session.processed_frames = _Pictures(loaded, frames)
        for text in phrases:
            number = session.add_prompt(text)
            ids, attention = loaded.tokens(text)
            session.prompt_input_ids[number] = ids
            session.prompt_attention_masks[number] = attention
        things: dict[int, FollowedThing] = {}
        with inference(self.dtype, device=loaded.device, auto="bfloat16"):
            for out in loaded.net.propagate_in_video_iterator(session):
                for number, score, mask in _seen(session, out, frames):
                    phrase = phrases.index(session.prompts[session.obj_id_to_prompt_id[number]])
                    thing = things.setdefault(number, FollowedThing(number, phrase))
                    thing.counts[out.frame_idx] = rle.encode(mask)
                    thing.scores[out.frame_idx] = score
                loaded.forget(session, before=out.frame_idx - loaded.window)
        return list(things.values())

    def _ready(self, asked: str) -> _LoadedSam3:
        if self._loaded is None:
            raise RuntimeError(f"Sam3Video: setup() comes before {asked}()")
        return self._loaded


@dataclass(eq=False)
class FollowedThing:
    """One object: run lengths of its masks and scores, by frame in which something is seen."""

    number: int
    phrase: int
    counts: dict[int, str] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)

    def mask(self, frame: int, frames: Frames) -> Bool:
        """(H, W), empty where nothing is seen."""
        if frame not in self.counts:
            return np.zeros((frames.height, frames.width), np.bool_)
        return rle.decode(self.counts[frame], height=frames.height, width=frames.width)

    def box(self, frame: int, frames: Frames) -> tuple[int, int, int, int]:
        box = rle.box_xyxy(self.counts[frame], height=frames.height, width=frames.width)
        assert box is not None, "only masks that are not empty are kept"
        return box


class Sam3Session(MaskSession):
    """A clip's objects, each one of the things that were found."""

    def __init__(self, things: Sequence[FollowedThing], frames: Frames):
        self._things = things
        self._frames = frames
        self._objects: dict[int, FollowedThing | None] = {}

    def add_box(self, object_id: int, *, frame: int, box_xyxy: F32) -> Bool:
        """The thing whose box overlaps this one most, or the first that holds the point; returns
        its mask (H, W) in that frame."""
        point = point_of(box_xyxy)
        if point is not None:
            held = [float(holds(t.mask(frame, self._frames), point)) for t in self._things]
            return self._add(object_id, held, frame)
        x0, y0, x1, y1 = np.asarray(box_xyxy).round().astype(int).clip(0)
        asked = np.zeros((self._frames.height, self._frames.width), np.bool_)
        asked[y0:y1, x0:x1] = True
        overlaps = []
        for thing in self._things:
            own = np.zeros_like(asked)
            if frame in thing.counts:
                left, top, right, bottom = thing.box(frame, self._frames)
                own[top:bottom, left:right] = True
            overlaps.append(_iou(asked, own))
        return self._add(object_id, overlaps, frame)

    def add_mask(self, object_id: int, *, frame: int, mask: Bool) -> None:
        """The thing whose mask overlaps this one most."""
        overlaps = [_iou(mask, thing.mask(frame, self._frames)) for thing in self._things]
        self._add(object_id, overlaps, frame)

    def remove(self, object_id: int) -> None:
        """Forget an object."""
        self._objects.pop(object_id, None)

    def propagate(
        self, *, first: int, end: int, objects: Sequence[int] | None = None
    ) -> Iterator[FrameMasks]:
        """See MaskSession. An object that none of the things is has empty masks."""
        chosen = list(self._objects if objects is None else objects)
        shape = (self._frames.height, self._frames.width)
        for frame in range(first, end, 1 if end >= first else -1):
            masks = np.zeros((len(chosen), *shape), np.bool_)
            scores = np.zeros(len(chosen), np.float32)
            for row, object_id in enumerate(chosen):
                thing = self._objects[object_id]
                if thing is not None and frame in thing.counts:
                    masks[row] = thing.mask(frame, self._frames)
                    scores[row] = thing.scores[frame]
            yield FrameMasks(frame, np.array(chosen, np.int32), masks, scores)

    def _add(self, object_id: int, overlaps: Sequence[float], frame: int) -> Bool:
        best = int(np.argmax(overlaps)) if len(overlaps) else -1
        thing = self._things[best] if best >= 0 and overlaps[best] > 0 else None
        self._objects[object_id] = thing
        if thing is None:
            return np.zeros((self._frames.height, self._frames.width), np.bool_)
        return thing.mask(frame, self._frames)


@dataclass(frozen=True)
class _LoadedSam3:
    net: Any
    tokenizer: Any
    size: tuple[int, int]
    normalize: Normalization
    device: str
    card: ModelCard

    @property
    def window(self) -> int:
        """Frames back that the tracker looks at."""
        config = self.net.tracker_model.config
        return int(max(config.num_maskmem, config.max_object_pointers_in_encoder))

    def tokens(self, phrase: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and attention (1, TEXT_TOKENS). Raises BadPhrase for a phrase of more."""
        text = self.tokenizer(
            phrase, return_tensors="pt", padding="max_length", max_length=TEXT_TOKENS
        )
        if text.input_ids.shape[1] > TEXT_TOKENS:
            raise BadPhrase(
                f"phrase {phrase!r}: found {counted(text.input_ids.shape[1], 'token')}, "
                f"expected at most {TEXT_TOKENS}; shorten it"
            )
        return text.input_ids.to(self.device), text.attention_mask.to(self.device)

    def forget(self, session: Any, *, before: int) -> None:
        """Drop what was tracked in frames `before`; frames that an object began in are kept."""
        for stored in session.output_dict_per_obj.values():
            tracked = stored["non_cond_frame_outputs"]
            for frame in [frame for frame in tracked if frame < before]:
                del tracked[frame]


class _Pictures:
    """The clip's pictures as the network's input, made when asked for: what a session expects of
    its dictionary of frames."""

    def __init__(self, loaded: _LoadedSam3, frames: Frames):
        from massannot.models.networks import frames_on

        self._loaded = loaded
        self._pixels = frames_on(frames, loaded.device)

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, frame: int) -> torch.Tensor:
        from massannot.models.preprocess import resized

        height, width = self._loaded.size
        levels = resized(
            self._pixels[frame : frame + 1], height=height, width=width, interpolation="bilinear"
        )
        return self._loaded.normalize(levels)[0]


def _load(weights: Weights, device: str) -> _LoadedSam3:
    from massannot.models.networks import load_network, n_parameters
    from massannot.models.preprocess import normalization_from, processor_config
    from massannot.models.sam3.mask_operations import MaskOperations
    from massannot.models.transformers_import import transformers_class

    kind = transformers_class("Sam3VideoModel")
    modeling: Any = sys.modules[kind.__module__]
    modeling.cv_utils_kernel = MaskOperations
    local = find(weights)
    net = load_network(kind, local, device=device)
    config = processor_config(local.folder)
    side = int(net.config.image_size)
    size = config.get("size", {})
    return _LoadedSam3(
        net=net,
        tokenizer=transformers_class("AutoTokenizer").from_pretrained(
            local.folder, local_files_only=True
        ),
        size=(int(size.get("height", side)), int(size.get("width", side))),
        normalize=normalization_from({"image_mean": HALF, "image_std": HALF} | config),
        device=device,
        card=local.card(name="sam3_video", n_parameters=n_parameters(net)),
    )


_NETWORK = SharedNetwork(_load)


def _kept(frames: Frames, weights: Weights) -> dict[tuple[str, ...], list[FollowedThing]]:
    """What was found in these frames so far, by phrases."""
    found: dict[tuple[str, ...], list[FollowedThing]] = frames.once(
        ("sam3_video", str(weights), weights.revision), dict
    )
    return found


def _seen(session: Any, out: Any, frames: Frames) -> list[tuple[int, float, Bool]]:
    """Number, score and mask (H, W) of every object that is seen, as transformers' processor reads
    them: what the network holds back is left out, and of one phrase's objects the surest has a
    pixel."""
    import torch
    import torch.nn.functional as F

    numbers = sorted(out.obj_id_to_mask)
    if not numbers:
        return []
    low = torch.cat([out.obj_id_to_mask[number] for number in numbers])[:, None].float()
    size = (frames.height, frames.width)
    masks = F.interpolate(low, size, mode="bilinear", align_corners=False)[:, 0] > 0
    hidden = {*(out.suppressed_obj_ids or ()), *session.hotstart_removed_obj_ids}
    shown = [
        row for row, number in enumerate(numbers) if number not in hidden and bool(masks[row].any())
    ]
    if not shown:
        return []
    masks, numbers = masks[shown], [numbers[row] for row in shown]
    sure = torch.tensor([float(out.obj_id_to_tracker_score.get(n, 0.0)) for n in numbers])
    prompts = torch.tensor([session.obj_id_to_prompt_id[n] for n in numbers])
    for prompt in prompts.unique() if len(numbers) > 1 else ():
        rows = torch.nonzero(prompts == prompt)[:, 0].to(masks.device)
        claims = torch.where(masks[rows], sure.to(masks.device)[rows][:, None, None], 0.0)
        own = claims.argmax(dim=0) == torch.arange(len(rows), device=masks.device)[:, None, None]
        masks[rows] &= own & (claims > 0)
    final = masks.cpu().numpy()
    return [
        (number, min(1.0, max(0.0, float(out.obj_id_to_score[number]))), final[row])
        for row, number in enumerate(numbers)
        if final[row].any()
    ]


def _iou(a: Bool, b: Bool) -> float:
    union = np.count_nonzero(a | b)
    return float(np.count_nonzero(a & b) / union) if union else 0.0
