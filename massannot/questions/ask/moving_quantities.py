"""Turns of a thing, series of its distance, bearing and speed for a viewer, and their errors."""

from __future__ import annotations

import math

import numpy as np

from massannot.questions.ask import program as p
from massannot.questions.ask.thing_tracks import F64, ThingTrack, ThingTracks, Unanswerable

LEAST_DEG = 2.0
"""No direction of a thing is better known than this."""
SMOOTH_S = 0.2


def turn_between(
    track: ThingTrack, base: tuple[int, int], step: tuple[int, int]
) -> tuple[float, float]:
    """Degrees clockwise from above between two steps, and its sd; items of the track."""
    angles, variance = [], LEAST_DEG**2
    for i, j in (base, step):
        vector = (track.xyz[j] - track.xyz[i])[[0, 2]]
        length = math.hypot(*vector)
        if length < 1e-6:
            raise Unanswerable("a thing that stands still has no direction")
        across = np.array([vector[1], 0.0, -vector[0]]) / length
        var = across @ (track.own_cov[i] + track.own_cov[j]) @ across
        variance += math.degrees(math.sqrt(var) / length) ** 2
        angles.append(math.degrees(math.atan2(vector[0], vector[1])))
    return (angles[1] - angles[0]) % 360, math.sqrt(variance)


def series_of(tracks: ThingTracks, program: p.StateSequence) -> tuple[F64, float]:
    """(n,) of the quantity, smoothed over SMOOTH_S, and the sd of a difference in it."""
    frames = range(program.first, program.last + 1)
    still = program.viewpoint == "absolute"
    world: p.Reference = "world" if still or program.viewer != p.CAMERA else "camera"
    track = tracks.of(program.thing, frames, world, role="subject")
    origin = np.zeros((len(frames), 3))
    own = track.own_cov
    if program.viewer == p.CAMERA:
        if still and program.first and not tracks.rows.row("clips", role="clip")["camera_static"]:
            raise Unanswerable("a camera that stays: expected the clip's first frame")
    else:
        seen = frames[:1] if still else frames
        viewer = tracks.of(program.viewer, seen, world, role="viewer")
        origin = np.broadcast_to(viewer.xyz, origin.shape)
        own = own + (viewer.own_cov if not still else 0.0)
    apart = track.xyz - origin
    length = np.maximum(np.linalg.norm(apart, axis=1), 1e-6)
    n = max(1, round(SMOOTH_S / float(np.median(np.diff(track.t_s)))))
    if program.quantity == "speed":
        n = max(2, n)
        step, seconds = apart[n:] - apart[:-n], track.t_s[n:] - track.t_s[:-n]
        size, both = np.linalg.norm(step, axis=1), own[n:] + own[:-n]
        unit = step / np.maximum(size, 1e-6)[:, None]
        var = np.einsum("ni,nij,nj->n", unit, both, unit)
        var = np.where(size > 1e-6, var, np.trace(both, axis1=1, axis2=2) / 3)  # at rest
        return _smooth(size / seconds, n), float(np.median(np.sqrt(2 * var) / seconds))
    if program.quantity == "bearing":
        flat = np.maximum(np.linalg.norm(apart[:, [0, 2]], axis=1), 1e-6)
        angle = np.degrees(np.unwrap(np.arctan2(apart[:, 0], apart[:, 2])))
        across = np.stack([apart[:, 2], 0 * flat, -apart[:, 0]], 1) / flat[:, None]
        var = np.einsum("ni,nij,nj->n", across, own, across)
        sd = np.degrees(np.sqrt(2 * var) / flat)
        return _smooth(angle, n), math.hypot(LEAST_DEG, float(np.median(sd)))
    unit = apart / length[:, None]
    var = np.einsum("ni,nij,nj->n", unit, own, unit)
    return _smooth(length, n), float(np.median(np.sqrt(2 * var)))


def _smooth(values: F64, n: int) -> F64:
    """Mean over n items around each, fewer at the ends."""
    weights = np.convolve(np.ones_like(values), np.ones(n), "same")
    return np.asarray(np.convolve(values, np.ones(n), "same") / weights)
