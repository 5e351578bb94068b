"""Fronts: where the front of a thing points from frame to frame, and how sure that is.

Known fronts stand in `positions` (rendered scenes) or in `orientations` (a file of angles with
their standard deviations). Else the front of a thing that has one is taken to point where the
thing moves, which the question then says. Angles are seen from above, clockwise.
"""

from __future__ import annotations

import math

import numpy as np

from massannot.counts import counted
from massannot.questions.ask import program as p
from massannot.questions.ask.moving_quantities import LEAST_DEG, SMOOTH_S
from massannot.questions.ask.thing_tracks import F64, ThingTracks, Unanswerable

WITH_A_FRONT = frozenset(
    """
    car truck bus van taxi lorry train tram motorcycle motorbike bike bicycle scooter
    skateboarder boat ship plane airplane aeroplane helicopter drone robot person man woman
    boy girl child kid pedestrian runner cyclist rider player skater dancer dog cat horse cow
    sheep pig elephant bear deer fox wolf lion tiger bird duck goose chicken fish
    """.split()  # noqa: SIM905
)
"""Nouns of things that move where their front points."""
_MOTION_S = 0.3
_CLEAR = 2.0
"""A step shows a direction where it is so many times longer than its standard deviation."""


def front_angles(tracks: ThingTracks, program: p.Turning) -> tuple[F64, float]:
    """(n,) degrees, unwrapped, and the sd of a difference in it. Raises Unanswerable where the
    front is not known in one of the frames."""
    frames = range(program.first, program.last + 1)
    reference: p.Reference = "world" if program.viewpoint == "absolute" else "camera"
    if program.by == "motion":
        return _of_motion(tracks, program.thing, frames, reference)
    times = tracks.times_s
    n_smooth = max(1, round(SMOOTH_S / float(np.median(np.diff(times)))))
    fronts, sds = zip(*(_front(tracks, program.thing, f, reference) for f in frames), strict=True)
    xyz = np.array(fronts)
    angle = np.degrees(np.unwrap(np.arctan2(xyz[:, 0], xyz[:, 2])))
    weights = np.convolve(np.ones(len(angle)), np.ones(n_smooth), "same")
    sd = math.hypot(float(np.median(sds)), LEAST_DEG) * math.sqrt(2)
    return np.convolve(angle, np.ones(n_smooth), "same") / weights, sd


def _front(
    tracks: ThingTracks, thing: int, frame: int, reference: p.Reference
) -> tuple[F64, float]:
    """(3,) of length 1, and its sd in degrees."""
    there = tracks.frame_there(frame)
    rows = tracks.rows
    if rows.has("orientations", (rows.clip_id, thing, there)):
        given = rows.row("orientations", thing, there, role="subject")
        tracks.note("internal", exact=False)
        angle, sd = math.radians(given["azimuth_deg"]), float(given["sd_deg"])
        front = np.array([math.sin(angle), 0.0, math.cos(angle)])
    else:
        row = rows.row("positions", thing, there, role="subject")
        if row.get("front_x") is None:
            raise Unanswerable(f"thing {thing}: its front is not known in frame {there}")
        tracks.note("none")
        front, sd = np.array([row[f"front_{axis}"] for axis in "xyz"]), 0.0
    if reference == "world" and not rows.row("clips", role="clip")["camera_static"]:
        camera = rows.row("cameras", there, role="viewer")
        front = np.array(camera["cam_from_world"]).reshape(4, 4)[:3, :3].T @ front
    return (front * [-1, 1, 1] if tracks.how == "mirrored" else front), sd


def _of_motion(
    tracks: ThingTracks, thing: int, frames: range, reference: p.Reference
) -> tuple[F64, float]:
    track = tracks.of(thing, frames, reference, role="subject")
    n = max(1, round(_MOTION_S / float(np.median(np.diff(track.t_s)))))
    if len(frames) <= n + 1:
        raise Unanswerable(
            f"thing {thing}: found {counted(len(frames), 'frame')}, expected more than {n + 1}"
        )
    step = track.xyz[n:] - track.xyz[:-n]
    flat = np.maximum(np.linalg.norm(step[:, [0, 2]], axis=1), 1e-9)
    across = np.stack([step[:, 2], 0 * flat, -step[:, 0]], 1) / flat[:, None]
    cov = track.own_cov[n:] + track.own_cov[:-n]
    sd = np.sqrt(np.einsum("ni,nij,nj->n", across, cov, across))
    if (flat < _CLEAR * sd).any():
        raise Unanswerable(f"thing {thing} stands still for a while: it shows no direction")
    angle = np.degrees(np.unwrap(np.arctan2(step[:, 0], step[:, 2])))
    return angle, math.sqrt(2) * math.hypot(float(np.median(np.degrees(sd / flat))), LEAST_DEG)
