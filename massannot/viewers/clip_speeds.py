"""How fast a thing is between a frame's neighbours, with the 90 % band that its tables give.

Errors of neighbouring places are not independent. What all frames share is a factor on distances:
it stretches a speed, and adds none. The noise of single frames is what the places themselves show,
in their third differences. The rest comes slowly: the error of a way grows with its time, as that
of a random walk does, to what `motions` says of the segment's whole way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.camera import inverse
from massannot.geometry.motion import jitter
from massannot.tables._matrices import symmetric_matrix
from massannot.tables.cameras import known_poses
from massannot.viewers.clip_drawing import GetTable

F64 = NDArray[np.float64]
TO_HALF_90 = 1.645
"""Standard deviations of a normal error within which 90 % lie."""
Row = Mapping[str, Any]


class ClipSpeeds:
    """What the speeds of all things of a clip are computed from."""

    def __init__(self, table: GetTable) -> None:
        clip = table("clips").to_pylist()[0]
        self.t_s = np.array(table("frames")["t_s"].to_pylist())
        self._turn = _world_from_camera(table, clip)
        self._shared = {
            row["entity"]: float(np.hypot(row["range_rel_sd"] or 0, clip["range_rel_sd"] or 0))
            for row in table("entities").to_pylist()
        }
        self._segments = table("segments").to_pylist()
        self._motions = {
            (row["entity"], row["segment"], row["reference"]): row
            for row in table("motions").to_pylist()
        }

    def of(self, entity: int, rows: Sequence[Row]) -> F64:
        """(T, 3) speed, and the band's low and high end, of an entity with these rows of
        `positions`; NaN: unknown. In the world where its places there are known."""
        n = len(self.t_s)
        places = {name: np.full((n, 3), np.nan) for name in ("cam", "world")}
        own, measured = np.full((n, 3, 3), np.nan), np.zeros(n, np.bool_)
        for row in rows:
            frame = row["frame"]
            measured[frame] = row["state"] == "measured"
            for name, axes in places.items():
                axes[frame] = [
                    np.nan if row[f"{a}_{name}"] is None else row[f"{a}_{name}"] for a in "xyz"
                ]
            own[frame] = _own_covariance(row)
        in_world = self._turn is not None and bool(np.isfinite(places["world"]).any())
        if in_world and self._turn is not None:
            own = self._turn @ own @ self._turn.transpose(0, 2, 1)
        reference = "world" if in_world else "camera"
        ways, lasting_s = self._ways(entity, own, reference)
        xyz = places["world" if in_world else "cam"]
        return speeds(xyz, measured, self.t_s, ways, lasting_s, shared=self._shared[entity])

    def _ways(self, entity: int, own: F64, reference: str) -> tuple[F64, F64]:
        """Of each frame's segment: the error's covariance (T, 3, 3) of the way through it, without
        the factor that all frames share, and its seconds (T,). Where `motions` says none, that of
        the way between two such frames."""
        ways, lasting_s = 2 * own, np.full(len(own), np.ptp(self.t_s))
        for row in self._segments:
            inside = slice(row["first_frame"], row["end_frame"])
            lasting_s[inside] = np.ptp(self.t_s[inside])
            motion = self._motions.get((entity, row["segment"], reference))
            if motion is not None and motion["cov"] is not None:
                way = np.array([motion[f"motion_{a}"] for a in "xyz"])
                stretched = self._shared[entity] ** 2 * np.outer(way, way)
                ways[inside] = symmetric_matrix(motion["cov"], size=3) - stretched
        return ways, lasting_s


def speeds(
    places: F64, measured: NDArray[np.bool_], t_s: F64, ways: F64, lasting_s: F64, *, shared: float
) -> F64:
    """(T, 3) speed, low, high of places (T, 3); NaN: unknown, as at both ends. `ways` (T, 3, 3):
    covariance of the error that a way has after `lasting_s` (T,). `shared`: relative standard
    deviation of the factor on all places.

    The noise across the motion makes a speed too large: the low end is freed of it.
    """
    found = np.full((len(t_s), 3), np.nan)
    if len(t_s) < 3:
        return found
    apart_s, whole = t_s[2:] - t_s[:-2], ways[1:-1]
    velocity = (places[2:] - places[:-2]) / apart_s[:, None]
    speed = np.linalg.norm(velocity, axis=1)
    noise = jitter(places[:, None], measured[:, None], t_s=t_s)[0]
    quick = whole if np.isnan(noise).any() else np.broadcast_to(np.diag(2 * noise**2), whole.shape)
    grown = np.minimum(apart_s / np.maximum(lasting_s[1:-1], 1e-9), 1)

    def variance(of_frames: F64, of_way: F64) -> F64:
        return (of_frames + np.maximum(of_way - of_frames, 0) * grown) / apart_s**2

    total = variance(np.einsum("tii->t", quick), np.einsum("tii->t", whole))
    unit = velocity / np.maximum(speed, 1e-9)[:, None]
    along = np.where(speed > 0, variance(_along(unit, quick), _along(unit, whole)), total)
    half = TO_HALF_90 * np.sqrt(along + (shared * speed) ** 2)
    across = np.maximum(total - along, 0)
    low = np.sqrt(np.maximum(np.maximum(speed - half, 0) ** 2 - across, 0))
    found[1:-1] = np.stack([speed, low, speed + half], axis=1)
    return found


def _along(unit: F64, cov: F64) -> F64:
    return np.einsum("ti,tij,tj->t", unit, cov, unit)


def _own_covariance(row: Row) -> F64:
    """(3, 3) of what a frame has for itself, along the camera's axes: across the ray all of `cov`,
    along it `range_rel_sd`; NaN: unknown."""
    if row["cov"] is None or row["range_rel_sd"] is None:
        return np.full((3, 3), np.nan)
    place = np.array([row[f"{a}_cam"] for a in "xyz"])
    ray = place / max(float(np.linalg.norm(place)), 1e-12)
    across = np.eye(3) - np.outer(ray, ray)
    along = row["range_rel_sd"] ** 2 * np.outer(place, place)
    return np.asarray(across @ symmetric_matrix(row["cov"], size=3) @ across + along)


def _world_from_camera(table: GetTable, clip: Row) -> F64 | None:
    """(T, 3, 3) of each frame; None: the poses are not known."""
    poses = known_poses(table("cameras"), camera_static=clip["camera_static"])
    return None if poses is None else np.asarray(inverse(poses)[:, :3, :3])
