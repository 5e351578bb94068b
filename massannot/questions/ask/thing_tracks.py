"""Where a thing is in given frames, and how sure that is, for programs.

A position's covariance has a part that all frames of a thing share, the error of its distance,
which only scales its motion, and a part of its own. To both comes what no interval knows: the
centre of a thing is a matter of definition (visible surface or body, and which part of it is seen),
taken as CENTRE_SHARE of the spread of its surface in each frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from massannot.errors import BadQuestion
from massannot.questions.ask.cited_rows import ClipRows, Row
from massannot.questions.ask.program import How, Reference
from massannot.tables._matrices import symmetric_matrix

F64 = NDArray[np.float64]
Reading = Literal["surface", "body"]
Basis = Literal["exact", "calibrated", "internal", "none"]

CENTRE_SHARE = 0.15
UNSTATED_OWN, UNSTATED_SHARED = 0.01, 0.1
"""Relative errors of distance, a frame's own and the thing's, where nothing is stated: those of the
shipped small models (docs/accuracy.md), for families that need no metres."""
ORDER_OF_BASES: tuple[Basis, ...] = ("exact", "calibrated", "internal", "none")


class Unanswerable(BadQuestion):
    """A program that the rows of the clip do not answer."""


@dataclass(frozen=True)
class ThingTrack:
    """One thing in n frames."""

    t_s: F64
    """(n,) seconds."""
    xyz: F64
    """(n, 3)."""
    own_cov: F64
    """(n, 3, 3) of each frame's own error."""
    shared_rel: float
    """Relative standard deviation of the distance that all frames share."""

    def variance_along(self, unit: F64) -> F64:
        """(n,) of a frame's own error along unit (n, 3) or (3,)."""
        return np.einsum("ni,nij,nj->n", np.broadcast_to(unit, self.xyz.shape), self.own_cov,
                         np.broadcast_to(unit, self.xyz.shape))  # fmt: skip


class ThingTracks:
    """ThingTracks of a clip's things, as they are or had the video been changed."""

    def __init__(self, rows: ClipRows, *, reading: Reading, how: How | None):
        self.rows = rows
        self.reading = reading
        self.how = how
        self.bases: set[Basis] = set()

    @property
    def times_s(self) -> F64:
        """(T,) of the clip's frames, played backwards where that is so."""
        t_s = np.array([row["t_s"] for row in self.rows.rows("frames", role="clip")])
        return t_s[0] + t_s[-1] - t_s[::-1] if self.how == "reversed" else t_s

    @property
    def exact(self) -> bool:
        """Whether the rows are the truth of a scene."""
        phrases = self.rows.rows("phrases", role="name")
        return bool(phrases) and all(row["origin"] == "scene" for row in phrases)

    def note(self, basis: str | None, *, exact: bool | None = None) -> Basis:
        """The ground of an interval, remembered. `exact`: as known already."""
        if exact is None:
            exact = self.exact
        known: Basis = "exact" if exact else _BASIS_OF.get(basis or "none", "none")
        self.bases.add(known)
        return known

    def of(
        self, thing: int, frames: Sequence[int], reference: Reference, *, role: str
    ) -> ThingTrack:
        """Raises Unanswerable where the thing is not seen in one of the frames, or the camera's
        pose is not known."""
        times = self.times_s
        clip = self.rows.row("clips", role="clip")
        entity = self.rows.row("entities", thing, role="name")
        shared = np.hypot(clip["range_rel_sd"] or 0.0, entity["range_rel_sd"] or 0.0)
        xyz, own_cov, shared_rel = [], [], 0.0
        exact = self.exact
        for frame in frames:
            there = self.frame_there(frame)
            row = self.rows.row("positions", thing, there, role=role)
            if row["x_cam"] is None or row["state"] not in ("measured", "interpolated"):
                raise Unanswerable(f"thing {thing} has no position in frame {there}")
            if reference == "world" and not clip["camera_static"]:
                self.rows.row("cameras", there, role="viewer")
            self.note(row["interval_basis"] if row["cov"] is not None else None, exact=exact)
            key = (thing, there, reference, self.reading, self.how == "mirrored")
            if key not in self.rows.memo:
                self.rows.memo[key] = self._seen(row, clip, there, reference, shared)
            point, cov, rel = self.rows.memo[key]
            shared_rel = max(shared_rel, rel)
            xyz.append(point)
            own_cov.append(cov)
        return ThingTrack(times[list(frames)], np.array(xyz), np.array(own_cov), float(shared_rel))

    def frame_there(self, frame: int) -> int:
        """Of the clip, the frame that is seen there in the video that is thought of."""
        memo = self.rows.memo
        if "n frames" not in memo:
            memo["n frames"] = len(self.rows.rows("frames", role="clip"))
        n = int(memo["n frames"])
        if self.how == "reversed":
            return n - 1 - frame
        return (frame + n // 2) % n if self.how == "shifted" else frame

    def _seen(
        self, row: Row, clip: Row, frame: int, reference: Reference, shared: float
    ) -> tuple[F64, F64, float]:
        """(3,) position, (3, 3) covariance of the frame's own error, relative sd of the shared."""
        point, rotation = self._point(row, clip, frame, reference)
        cov, rel = self._covariance(row, shared)
        cov = rotation @ cov @ rotation.T
        if self.how == "mirrored":
            return point * _MIRROR, cov * np.outer(_MIRROR, _MIRROR), rel
        return point, cov, rel

    def _point(self, row: Row, clip: Row, frame: int, reference: Reference) -> tuple[F64, F64]:
        """(3,) and the rotation (3, 3) from the frame's camera."""
        surface = np.array([row[f"{axis}_cam"] for axis in "xyz"])
        behind = self._behind(row, surface, frame)
        if reference == "camera":
            return surface + behind, np.eye(3)
        if row["x_world"] is None:
            raise Unanswerable(f"frame {frame}: the camera's pose is not known")
        rotation = np.eye(3)
        if not clip["camera_static"]:
            camera = self.rows.row("cameras", frame, role="viewer")
            rotation = np.array(camera["cam_from_world"]).reshape(4, 4)[:3, :3].T
        return np.array([row[f"{a}_world"] for a in "xyz"]) + rotation @ behind, rotation

    def _behind(self, row: Row, surface: F64, frame: int) -> F64:
        """From the visible surface's centre to the one that is read; the body's lies behind it,
        on the ray of the box's middle where the table does not say better."""
        if self.reading == "surface":
            return np.zeros(3)
        if row["body_x"] is not None:
            return np.array([row[f"body_{axis}"] for axis in "xyz"]) - surface
        mask = self.rows.row("masks", row["entity"], frame, role="witness")
        camera = self.rows.row("cameras", frame, role="viewer")
        if mask["x0"] is None:
            return surface / np.linalg.norm(surface) * float(row["spread"] or 0.0)
        middle = np.array([mask["x0"] + mask["x1"], mask["y0"] + mask["y1"]]) / 2
        focal, centre = (np.array([camera[f"{c}{a}"] for a in "xy"]) for c in "fc")
        ray = np.append((middle - centre) / focal, 1.0)
        return np.asarray(ray * (surface[2] + float(row["spread"] or 0.0)) - surface)

    def _covariance(self, row: Row, shared: float) -> tuple[F64, float]:
        """(3, 3) of the frame's own, in its camera, and the relative sd of what is shared."""
        point = np.array([row[f"{axis}_cam"] for axis in "xyz"])
        range_, centre = float(np.linalg.norm(point)), CENTRE_SHARE * float(row["spread"] or 0.0)
        definition = centre**2 * np.eye(3)
        ray = np.outer(point, point) / range_**2
        basis = self.note(row["interval_basis"] if row["cov"] is not None else None)
        if basis == "exact":
            return definition, 0.0
        if basis == "none":
            return definition + (UNSTATED_OWN * range_) ** 2 * ray, UNSTATED_SHARED
        cov = symmetric_matrix(row["cov"], size=3)
        along = float(np.trace(ray @ cov))
        own = row["range_rel_sd"] or 0.0
        share = shared**2 / (shared**2 + own**2) if shared else 0.0
        return definition + cov - share * along * ray, float(np.sqrt(share * along)) / range_


_MIRROR = np.array([-1.0, 1.0, 1.0])
_BASIS_OF: dict[str, Basis] = {basis: basis for basis in ORDER_OF_BASES}
