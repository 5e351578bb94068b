"""ClipTruth: an annotated clip beside the truth of the scene it shows.

Every comparison is made in source pixels and metres at the very frames that were annotated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from massannot.dataset.reading import ClipView
from massannot.dataset.touching import own_view
from massannot.evaluate import raster_scores
from massannot.geometry import rle
from massannot.geometry.assignment import best_pairs
from massannot.scenes.true_answers import Answers
from massannot.scenes.world import Scene

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

FOUND_J = 0.7
"""A true entity counts as found when its mean mask J is above this."""

NAN = float("nan")


@dataclass(frozen=True)
class ClipScore:
    """One number of one clip; `baseline`: that of no skill at all; NaN: not defined."""

    stage: str
    metric: str
    value: float
    baseline: float = NAN
    samples: tuple[float, ...] = ()
    """Of a median: what it is the median of. A median over clips is that of all their samples, and
    not a mean of medians; empty where nothing was compared."""
    baseline_samples: tuple[float, ...] = ()

    @classmethod
    def median_of(
        cls, stage: str, metric: str, samples: ArrayLike, baseline: ArrayLike = ()
    ) -> ClipScore:
        """The median of this clip's samples (N,), which a dataset's median is made of too; unknown
        ones are left out."""
        arrays = (np.asarray(x, np.float64) for x in (samples, baseline))
        own, flat = (tuple(x[np.isfinite(x)].tolist()) for x in arrays)
        middle, flat_middle = (float(np.median(x)) if x else NAN for x in (own, flat))
        return cls(stage, metric, middle, flat_middle, own, flat)


class ClipTruth:
    """A clip beside the truth of its scene."""

    def __init__(
        self,
        view: ClipView,
        scene: Scene,
        *,
        usual_depth_m: float,
        same_clip: ClipTruth | None = None,
        n_own: int | None = None,
    ):
        """`usual_depth_m`: the one depth that the constant baseline answers everywhere.
        `same_clip`: the same clip annotated otherwise, whose truth need not be cast again.
        `n_own`: frames from the first on that are compared, see dataset/touching.py; None: all."""
        self.whole = self
        """With all of its frames, for what is no frame's: a motion, the camera's way."""
        if n_own is not None and n_own < len(view):
            same_clip = self.whole = ClipTruth(view, scene, usual_depth_m=usual_depth_m)
            view = own_view(view, n_own)
        row = view.row
        self.view, self.scene, self.usual_depth_m = view, scene, usual_depth_m
        self.height, self.width = int(row["source_height"]), int(row["source_width"])
        self.answers: Answers = (
            same_clip.answers.first(len(view))
            if same_clip is not None
            else Answers(scene, scene_frames(view, scene), self.height, self.width, np.ones(2))
        )
        is_same = same_clip is not None and same_clip is not self.whole
        self.surfaces: dict[int, F64] = same_clip.surfaces if same_clip and is_same else {}
        """Results of `position_scores.surface_centres`, by true entity."""
        self.n_frames = len(view)

    @cached_property
    def present(self) -> Bool:
        """(T, K) whether anything of true entity k is seen."""
        n_true = len(self.scene.entities)
        return np.array(
            [
                np.bincount(self.answers.ids(t).ravel(), minlength=n_true + 1)[1:] > 0
                for t in range(self.n_frames)
            ]
        ).reshape(self.n_frames, n_true)

    @cached_property
    def entities(self) -> list[int]:
        return list(self.view.table("entities")["entity"].to_pylist())

    @cached_property
    def found_masks(self) -> dict[tuple[int, int], Bool]:
        """(entity, frame) to mask (H, W); absent masks are left out."""
        return {
            (row["entity"], row["frame"]): rle.decode(
                row["counts"], height=self.height, width=self.width
            )
            for row in self.view.table("masks").select(["entity", "frame", "counts"]).to_pylist()
        }

    @cached_property
    def overlap(self) -> F64:
        """(T, K, M) mask IoU of true entity k and found entity m."""
        overlap = np.zeros((self.n_frames, len(self.scene.entities), len(self.entities)))
        column = {entity: m for m, entity in enumerate(self.entities)}
        n_true = len(self.scene.entities)
        for (entity, frame), mask in self.found_masks.items():
            ids = self.answers.ids(frame)
            area = np.bincount(ids.ravel(), minlength=n_true + 1)[1 : n_true + 1]
            both = np.bincount(ids[mask], minlength=n_true + 1)[1 : n_true + 1]
            union = area + np.count_nonzero(mask) - both
            overlap[frame, :, column[entity]] = both / np.maximum(union, 1)
        return overlap

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """(true entity, found entity), one to one, by mean overlap over the clip."""
        if not self.entities:
            return []
        mean = self.overlap.sum(axis=0) / np.maximum(self.present.sum(axis=0), 1)[:, None]
        rows, columns = best_pairs(mean, least=0.05)
        return [(int(k), self.entities[m]) for k, m in zip(rows, columns, strict=True)]

    @cached_property
    def requested(self) -> list[int]:
        """True entities whose name was among the phrases."""
        wanted = {plain_name(text) for text in self.view.phrases}
        return [k for k, name in enumerate(self.scene.phrases()) if plain_name(name) in wanted]

    @cached_property
    def requested_js(self) -> dict[int, float]:
        """Mean J of each requested entity that is seen at all, 0 where nothing was found for it."""
        found_for = dict(self.pairs)
        js = {k: self.mean_j(k, found_for.get(k)) for k in self.requested}
        return {k: j for k, j in js.items() if not np.isnan(j)}

    def is_named(self, true: int, entity: int) -> bool:
        """Whether the entity's phrase is the true thing's name."""
        phrase_of = self.view.table("entities")
        row = phrase_of["entity"].to_pylist().index(entity)
        phrase = self.view.phrases[phrase_of["phrase"][row].as_py()]
        return plain_name(phrase) == plain_name(self.scene.phrases()[true])

    def mean_j(self, true: int, entity: int | None) -> float:
        """Mean J over the frames in which either is seen."""
        js = []
        for frame in range(self.n_frames):
            truth = self.answers.mask(frame, true)
            mask = None if entity is None else self.found_masks.get((entity, frame))
            if mask is None:
                mask = np.zeros_like(truth)
            if truth.any() or mask.any():
                js.append(raster_scores.region_similarity(mask, truth))
        return float(np.mean(js)) if js else NAN


def scene_frames(view: ClipView, scene: Scene) -> tuple[int, ...]:
    """The scene's frame of each annotated frame, by time."""
    t_s = view.table("frames")["t_s"].to_numpy()
    return tuple(int(k) for k in np.round(t_s * scene.options.fps))


def plain_name(text: str) -> str:
    """A phrase without its article: 'a red ball' and 'red ball' ask for the same thing."""
    words = text.lower().split()
    return " ".join(words[1:] if words and words[0] in {"a", "an", "the"} else words)


def point_queries(clip: ClipTruth) -> tuple[Bool, F64]:
    """Which points belong to entities (N,), and all queries (N, 3) as (frame, x, y)."""
    tracks = clip.view.tracks()
    at = np.arange(len(tracks.entity))
    xy = tracks.xy[tracks.query_frame, at] if len(at) else np.zeros((0, 2))
    return tracks.entity >= 0, np.column_stack([tracks.query_frame, xy]).astype(np.float64)
