"""The contracts of models, one for each job: Frames in, arrays out. Oracles and networks share
them.

Shape letters: T frames of the clip, N points, K objects, D detections, H W working size, h w the
model's own output size. All coordinates are in the pixels of the Frames given (working size),
origin at the top-left CORNER: a stage multiplies by `frames.source_from_working`. Each model
converts from and to its own convention inside its own file.

A model is described by its constructor (options only, no work), loads weights in `setup`, and
gives its memory back in `destroy`. One model object serves one process and one clip at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from massannot.clip import DepthMaps, Frames

Bool = npt.NDArray[np.bool_]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class ModelCard:
    """The identity of a model's weights: written to the run's record and the dataset card."""

    name: str
    weights: str = ""
    """Hub id, folder or file; empty for a model without weights."""
    revision: str = ""
    sha256: str = ""
    license: str = ""
    n_parameters: int = 0
    note: str = ""
    """A sentence about the answers of a file: what of it is used, what is left out and why."""


@runtime_checkable
class Model(Protocol):
    """The life cycle of every model."""

    def setup(self, *, device: str) -> None:
        """Load weights onto `device` ('cpu', 'cuda:0'). Raises MissingWeights."""

    def destroy(self) -> None:
        """Give memory back."""

    def card(self) -> ModelCard:
        """The identity of the weights; complete after `setup`."""


@dataclass(frozen=True, eq=False)
class Detections:
    """D boxes. `frame` (D,), `phrase` (D,) index into the phrases given, `boxes_xyxy` (D, 4)
    half-open, `score` (D,) in 0..1. `track` (D,): of a file that follows things, which thing it is,
    -1: not followed; None: a model's answer."""

    frame: I32
    phrase: I32
    boxes_xyxy: F32 | F64
    score: F32
    track: I32 | None = None


@runtime_checkable
class PhraseDetector(Model, Protocol):
    """Unless a detector has an attribute `vocabulary`, a set of words and not None, it can be asked
    for any phrase."""

    def detect(self, frames: Frames, *, at: Sequence[int], phrases: Sequence[str]) -> Detections:
        """Boxes of every phrase in the frames `at`, best first within (frame, phrase)."""


@runtime_checkable
class ContextDetector(Protocol):
    """A PhraseDetector that reads the phrases in one text, so that the boxes of each depend on the
    others. Any other PhraseDetector answers for each phrase as if it were alone."""

    def detect_added(
        self, frames: Frames, *, at: Sequence[int], phrases: Sequence[str], earlier: Sequence[str]
    ) -> Detections:
        """Boxes of `phrases`, asked later than `earlier`: those that `detect` of all of them in
        this order finds. The boxes of `earlier` stay as they were found before, without these."""


@runtime_checkable
class GivenBoxes(Protocol):
    """A PhraseDetector whose boxes a person or a file gave: they speak of some frames, and are kept
    as they are."""

    def frames_named(self, frames: Frames) -> Sequence[int]:
        """The frames of the clip in which there are boxes, ascending."""


@dataclass(frozen=True, eq=False)
class GivenCuboids:
    """K cuboids through T frames, metres along each frame's camera axes; NaN: nothing is given.
    Their numbers 0.. are those of Detections.track."""

    centre: F64
    """(K, T, 3)."""
    extent: F64
    """(K, T, 3) of the box along the camera's axes around the cuboid."""
    front: F64
    """(K, T, 3) of length 1; NaN also of a thing without a front."""


@runtime_checkable
class CuboidSource(Model, Protocol):
    def cuboids(self, frames: Frames) -> GivenCuboids:
        """Where things are, as a person or a file gave it."""


@dataclass(frozen=True, eq=False)
class FrameMasks:
    """Masks of one frame: `objects` (K,), `masks` bool (K, H, W), `score` (K,) 0..1 belief that
    the object is in the picture (an empty mask with a high score is hidden, not absent)."""

    frame: int
    objects: I32
    masks: Bool
    score: F32


def point_of(box_xyxy: F32 | F64) -> F64 | None:
    """(2,) the point that a box (4,) without extent is; None: it is a box."""
    x0, y0, x1, y1 = np.asarray(box_xyxy, np.float64)
    return np.array([x0, y0]) if x0 == x1 and y0 == y1 else None


def holds(mask_HW: Bool, point_xy: F64) -> bool:
    """Whether the mask's pixel in which a point lies is set; no pixel lies beyond the picture."""
    column, row = np.floor(point_xy).astype(int)
    height, width = mask_HW.shape
    return bool(0 <= row < height and 0 <= column < width and mask_HW[row, column])


@runtime_checkable
class MaskSession(Protocol):
    """One clip's objects. Objects may be added at any time, also after propagation; the others keep
    their memory."""

    def add_box(self, object_id: int, *, frame: int, box_xyxy: F32) -> Bool:
        """Prompt a new object by a box (4,); returns its mask (H, W) in that frame. A box without
        extent is a point: the thing that is there. Raises UsageError where only boxes are known."""

    def add_mask(self, object_id: int, *, frame: int, mask: Bool) -> None:
        """Prompt with a mask (H, W)."""

    def remove(self, object_id: int) -> None:
        """Forget an object."""

    def propagate(
        self, *, first: int, end: int, objects: Sequence[int] | None = None
    ) -> Iterator[FrameMasks]:
        """Masks of frames first, first + 1, .. end - 1, or downwards when end < first: first,
        first - 1, .. end + 1. `objects`: only these; default all that were added."""


@runtime_checkable
class BoxBatches(MaskSession, Protocol):
    """A MaskSession that takes the boxes of a frame together."""

    def add_boxes(self, object_ids: Sequence[int], *, frame: int, boxes_xyxy: F32) -> Bool:
        """Prompt new objects by boxes (K, 4), all of them with an extent or none; returns their
        masks (K, H, W)."""


@runtime_checkable
class GivenMasks(MaskSession, Protocol):
    """Masks that a person or a file gave: they speak of some frames and say nothing about the
    others, in which `propagate` gives empty masks."""

    def is_known(self, object_id: int, *, frame: int) -> bool:
        """Whether it is said where the object is in this frame, or that it is not seen."""


@runtime_checkable
class MaskPropagator(Model, Protocol):
    def session(self, frames: Frames) -> MaskSession:
        """A fresh session over one clip; pictures are read when needed."""


@dataclass(frozen=True, eq=False)
class PointTracks:
    """`xy` (T, N, 2), `visible` (T, N) the tracker's decision, `visibility` and `confidence`
    (T, N) probabilities, `fb_error_px` (T, N) distance to the query after tracking there and back,
    NaN where it was not computed."""

    xy: F32
    visible: Bool
    visibility: F32
    confidence: F32
    fb_error_px: F32
    given: bool = False
    """Whether a person, a file or the truth gave them: they are written exactly as they are."""


@runtime_checkable
class PointTracker(Model, Protocol):
    def track(self, frames: Frames, *, queries_txy: F64) -> PointTracks:
        """The positions in every frame of the points (N, 3) given as (frame, x, y), before and
        after their query frame."""


@runtime_checkable
class DepthEstimator(Model, Protocol):
    def estimate_depth(self, frames: Frames, *, focal_px: float | None = None) -> DepthMaps:
        """Depth of every frame, see DepthMaps for the kinds. `focal_px` in pixels of the Frames,
        along x: only a network taught for one lens needs it."""


CameraOrigin = Literal["given", "assumed", "estimated"]


@dataclass(frozen=True, eq=False)
class Cameras:
    """`intrinsics` (T, 4) fx fy cx cy in pixels of the Frames, `cam_from_world` (T, 4, 4) rigid,
    world = the clip's first camera, and where each comes from. `focal_rel_sd`: standard deviation
    of the logarithm of fx and fy, of a model that estimates the lens."""

    intrinsics: F64
    cam_from_world: F64
    intrinsics_origin: CameraOrigin
    pose_origin: CameraOrigin
    focal_rel_sd: float | None = None


@runtime_checkable
class CameraEstimator(Model, Protocol):
    def estimate_cameras(self, frames: Frames) -> Cameras:
        """The pinhole and pose of every frame."""
