"""Stored weights measured through their adapters on validation clips, beside a trivial answer.

Options that belong to the weights (thresholds, how to prompt) are found here too and go into the
card. The published figures are others: test scenes, `massannot evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from massannot.clip import Frames
from massannot.evaluate.box_scores import TextBoxes, average_precision, right_boxes
from massannot.models.depth_anything import CanonicalFocal, DepthAnything
from massannot.models.grounding_dino import GroundingDino
from massannot.models.sam2.propagator import Sam2Video
from massannot.models.weights import Weights
from massannot.scenes.render import Picture, render
from massannot.scenes.world import VALIDATION_SEEDS, Scene, make_scene
from tools.embedded.pool import SMALLEST_AREA_PX, boxes_and_areas

CLIP_FRAMES = 25
KEY_FRAMES = (0, 8, 16, 24)
N_PHRASES = 6
LEAST_SHOWN_PX = 25
"""An object that shows less than this is neither prompted nor scored."""


@dataclass(frozen=True, eq=False)
class TrueClip:
    """A scene's first frames, CLIP_FRAMES of them where nothing else is said, and their truth."""

    scene: Scene
    frames: Frames
    pictures: list[Picture]


def validation_clips(count: int) -> list[TrueClip]:
    """The first `count` validation scenes."""
    return [true_clip(seed) for seed in VALIDATION_SEEDS[:count]]


def true_clip(seed: int, *, n_frames: int = CLIP_FRAMES) -> TrueClip:
    """The first frames of a scene."""
    scene = make_scene(seed)
    pictures = [render(scene, k) for k in range(n_frames)]
    fps = scene.options.fps
    frames = Frames(
        pixels_THWC=np.stack([p.rgb for p in pictures]),
        video_id=f"scene-{seed}", source_id=f"scene-{seed}",
        pts=np.arange(n_frames), t_s=np.arange(n_frames) / fps,
        time_base=Fraction(1, fps), source_width=scene.options.width,
        source_height=scene.options.height,
    )  # fmt: skip
    return TrueClip(scene, frames, pictures)


def depth(folder: Path, clips: Sequence[TrueClip]) -> tuple[dict[str, Any], dict[str, float]]:
    """Relative error, of all pixels and of bodies, means over frames; and of a constant depth."""
    estimator = DepthAnything(Weights(str(folder)), canonical=CanonicalFocal())
    estimator.setup(device="cpu")
    return {}, _means([row for clip in clips for row in depth_rows(estimator, clip)])


def depth_rows(estimator: DepthAnything, clip: TrueClip) -> list[dict[str, float]]:
    """A row per key frame."""
    clip.frames.forget()
    focal_px = float(clip.scene.camera.lens.focal_px)
    maps = estimator.estimate_depth(clip.frames, focal_px=focal_px).values
    rows = []
    for t in KEY_FRAMES:
        true, body = clip.pictures[t].depth_m, clip.pictures[t].ids > 0
        off = np.abs(_at_size(maps[t], true.shape) - true)
        constant = np.abs(3.4 - true) / true
        rows.append(
            {
                "AbsRel": (off / true).mean(),
                "AbsRel_constant_3.4m": constant.mean(),
                "AbsRel_bodies": (off / true)[body].mean() if body.any() else np.nan,
                "AbsRel_bodies_constant_3.4m": constant[body].mean() if body.any() else np.nan,
                "median_off_m_bodies": np.median(off[body]) if body.any() else np.nan,
            }
        )
    return rows


def _at_size(depth: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bilinear, half-pixel, edges repeated."""
    rows, columns = (
        np.clip((np.arange(n) + 0.5) * m / n - 0.5, 0, m - 1) for n, m in zip(shape, depth.shape)
    )
    r0, c0 = np.floor(rows).astype(int), np.floor(columns).astype(int)
    r1, c1 = np.minimum(r0 + 1, depth.shape[0] - 1), np.minimum(c0 + 1, depth.shape[1] - 1)
    fr, fc = (rows - r0)[:, None], (columns - c0)[None]
    upper = depth[r0][:, c0] * (1 - fc) + depth[r0][:, c1] * fc
    lower = depth[r1][:, c0] * (1 - fc) + depth[r1][:, c1] * fc
    return np.asarray(upper * (1 - fr) + lower * fr)


DECODER_FAILED = 0.5
"""Below this AP50 the proposal head is read out instead: the network has no decoder to speak of."""


def detection(folder: Path, clips: Sequence[TrueClip]) -> tuple[dict[str, Any], dict[str, float]]:
    """Text-matched AP50 of both heads for six two-word phrases in four frames of each clip, and
    the readout and threshold to use."""
    scores: dict[str, float] = {}
    best: dict[str, float] = {}
    for readout in ("decoder", "encoder"):
        detector = GroundingDino(
            Weights(str(folder)), readout=readout, box_threshold=0.03, text_threshold=0.03,  # type: ignore[arg-type]
            nms_iou=0.5,
        )  # fmt: skip
        detector.setup(device="cpu")
        predicted, truth = detected(detector, clips)
        scores[f"AP50_{readout}"] = round(average_precision(predicted, truth), 4)
        if readout == "decoder" or scores["AP50_decoder"] < DECODER_FAILED:
            best = {"readout": readout, **_threshold(predicted, truth)}  # type: ignore[dict-item]
    scores["AP50_mean_box"] = round(average_precision(_mean_boxes(truth, clips), truth), 4)
    threshold = best["threshold"]
    options = {
        "readout": best.pop("readout"),
        "box_threshold": threshold,
        "text_threshold": threshold,
        "nms_iou": 0.5,
    }
    return options, scores | best


def phrases_of(scene: Scene) -> list[str]:
    """The true names and hard negatives, six together, in an order drawn by the seed."""
    true = scene.phrases()
    texts = true + scene.hard_negatives(max(0, N_PHRASES - len(true)))
    order = np.random.default_rng([scene.seed, 21]).permutation(len(texts))
    return [texts[i] for i in order]


def detected(detector: GroundingDino, clips: Sequence[TrueClip]) -> tuple[TextBoxes, TextBoxes]:
    """A detector's boxes of `phrases_of` in the key frames, and the true ones."""
    predicted: list[tuple[int, str, np.ndarray, float]] = []
    truth: list[tuple[int, str, np.ndarray, float]] = []
    for number, clip in enumerate(clips):
        clip.frames.forget()
        texts = phrases_of(clip.scene)
        answer = detector.detect(clip.frames, at=KEY_FRAMES, phrases=texts)
        rows = zip(answer.frame, answer.phrase, answer.boxes_xyxy, answer.score)
        predicted += [(100 * number + int(f), texts[p], box, float(s)) for f, p, box, s in rows]
        for t in KEY_FRAMES:
            boxes, areas = boxes_and_areas(clip.pictures[t].ids)
            for i, entity in enumerate(clip.scene.entities):
                if areas[i] >= SMALLEST_AREA_PX:
                    truth.append((100 * number + t, entity.phrase, boxes[i], 1.0))
    return _text_boxes(predicted), _text_boxes(truth)


def _mean_boxes(truth: TextBoxes, clips: Sequence[TrueClip]) -> TextBoxes:
    """For every phrase asked, the mean of all true boxes."""
    mean = truth.boxes_xyxy.mean(axis=0)
    return _text_boxes(
        [
            (100 * number + t, text, mean, 1.0)
            for number, clip in enumerate(clips)
            for t in KEY_FRAMES
            for text in phrases_of(clip.scene)
        ]
    )


RECALL_WEIGHT = 2
"""Of precision's: other key frames mostly contradict a wrong box, but a missed thing is lost.
On 8 validation clips with true masks, 0.3 (F2) finds 96 % of things where 0.38 (F1) finds 74 %."""


def _threshold(predicted: TextBoxes, truth: TextBoxes) -> dict[str, float]:
    """The threshold at which precision and recall, weighted so, balance best."""
    order = np.argsort(-predicted.score, kind="stable")
    hits = np.cumsum(right_boxes(predicted, truth)[order])
    if not len(hits):
        return {"threshold": 0.3}
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / len(truth.score)
    weight = RECALL_WEIGHT**2
    f2 = (1 + weight) * precision * recall / np.maximum(weight * precision + recall, 1e-9)
    best = int(f2.argmax())
    return {
        "threshold": round(float(predicted.score[order][best]), 3),
        "F2": round(float(f2[best]), 4),
        "precision": round(float(precision[best]), 4),
        "recall": round(float(recall[best]), 4),
    }


def _text_boxes(rows: Sequence[tuple[int, str, np.ndarray, float]]) -> TextBoxes:
    return TextBoxes(
        np.array([r[0] for r in rows], np.int64),
        [r[1] for r in rows],
        np.array([r[2] for r in rows], np.float64).reshape(-1, 4),
        np.array([r[3] for r in rows], np.float64),
    )


def segmentation(
    folder: Path, clips: Sequence[TrueClip]
) -> tuple[dict[str, Any], dict[str, float]]:
    """J of objects prompted by their true box in frame 0, in that frame and 8, 16, 24 later, of
    those that still show; by their true mask; and how often the object score is right."""
    propagator = Sam2Video(Weights(str(folder)), box_as_mask=True)
    propagator.setup(device="cpu")
    rows: list[dict[str, float]] = []
    for clip in clips:
        clip.frames.forget()
        rows += mask_rows(propagator, clip)
        by_mask = mask_rows(propagator, clip, prompt="mask")
        rows += [{f"{n}_mask_prompt": row[n] for n in _LATER if n in row} for row in by_mask]
    names = sorted({name for row in rows for name in row})
    return {"box_as_mask": True}, _means([{n: r.get(n, np.nan) for n in names} for r in rows])


_LATER = tuple(f"J{t}" for t in KEY_FRAMES[1:])


def mask_rows(
    propagator: Sam2Video,
    clip: TrueClip,
    *,
    prompt: Literal["box", "mask"] = "box",
    end: int = CLIP_FRAMES,
) -> list[dict[str, float]]:
    """A row per object and frame before `end`: J in key frames in which the object shows, beside a
    filled box or the copied true mask of frame 0; later also whether the object score is right."""
    session = propagator.session(clip.frames)
    boxes, areas = boxes_and_areas(clip.pictures[0].ids)
    for body in np.flatnonzero(areas >= LEAST_SHOWN_PX):
        if prompt == "box":
            session.add_box(int(body), frame=0, box_xyxy=boxes[body])
        else:
            session.add_mask(int(body), frame=0, mask=clip.pictures[0].ids == body + 1)
    rows: list[dict[str, float]] = []
    for answer in session.propagate(first=0, end=end):
        t = answer.frame
        for n, body in enumerate(answer.objects):
            true = clip.pictures[t].ids == body + 1
            row: dict[str, float] = {}
            if t:
                row["presence"] = float((answer.score[n] > 0.5) == true.any())
                row["presence_always"] = float(true.any())
            if t in KEY_FRAMES and true.sum() >= LEAST_SHOWN_PX:
                row[f"J{t}"] = _jaccard(answer.masks[n], true)
                if t:
                    row[f"J{t}_copied"] = _jaccard(clip.pictures[0].ids == body + 1, true)
                else:
                    row["J0_filled_box"] = _jaccard(_filled(boxes[body], true.shape), true)
            rows.append(row)
    return rows


def _filled(box_xyxy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    x0, y0, x1, y1 = box_xyxy.astype(int)
    mask = np.zeros(shape, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def _jaccard(mask: np.ndarray, true: np.ndarray) -> float:
    return float(np.count_nonzero(mask & true) / max(1, np.count_nonzero(mask | true)))


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {n: round(float(np.nanmean([row[n] for row in rows])), 4) for n in rows[0]}
