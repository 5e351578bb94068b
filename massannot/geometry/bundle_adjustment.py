"""Poses of a camera and places of the points it sees, by robust least squares over all frames.

Unknown are, per frame, the pose and a factor on its depth, the points X(n), and, where nobody told
it, one factor g on the focal length of all frames. Of point n seen in frame t, with
x = R(t) X(n) + t(t) in the camera's axes and pi the pinhole, the residuals are

    (pi(x) - xy(t, n)) / pixel_sigma                            two of them
    (log x_z - log z(t, n) - s(t)) / (depth_sigma sqrt(m(n)))   where the frame has a depth z there
    s(t) / frame_sigma                                          one a frame
    log g / focal_sigma                                         one, where it is unknown

with m(n) the number of depth readings of the point: a network errs for a point as it did a frame
before, so all its readings count as one. Pixels and depth have Cauchy's loss each. The first frame
is the world. Without translation the points lie at infinity and depth is not looked at.

Solved by Levenberg and Marquardt's steps; the points are eliminated, each by its own 3x3 block
(Schur complement; Triggs et al., Bundle Adjustment - A Modern Synthesis, 2000, section 6).

Unusual: poses change by a LEFT perturbation, cam_from_world becomes E(w, d) cam_from_world, where
E turns by the rotation vector w (radians) and shifts by d, in the axes of that frame's camera. And
sightings are the LAST axis of all that is computed for each of them: ten times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.camera import rigid
from massannot.geometry.sightings import Sightings

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class BundleRule:
    """Standard deviations of the residuals, and when to stop."""

    pixel_sigma: float = 0.15
    """Of a tracked corner, in pixels of the tracked picture."""
    depth_sigma: float = 0.05
    """Of log depth, shared by all readings of a point."""
    frame_sigma: float = 0.03
    """Of the logarithm of a frame's own factor on depth."""
    cauchy: float = 2.5
    """Standard deviations at which a residual's weight is one half."""
    max_steps: int = 40
    converged: float = 2e-4
    """Relative gain of a step below which no other is tried."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """The unknowns."""

    cam_from_world: F64
    """(T, 4, 4)."""
    points: F64
    """(N, 3) in the world; directions where the camera only turns."""
    log_scale: F64
    """(T,)."""
    log_focal: float = 0.0
    """Logarithm of the factor on the focal lengths of the sightings."""


@dataclass(frozen=True, eq=False)
class Adjustment:
    """The adjusted unknowns and the equations there, the points eliminated."""

    bundle: Bundle
    moves: bool
    """Whether translations were free."""
    pixels: F64
    """(O, 2) residuals in pixels."""
    normal: F64
    """(K (T-1) + G, K (T-1) + G) for K unknowns: rotation, then translation and log scale where
    translations are free; of each unknown all frames after the first together; behind them the
    focal length (G = 1) where it is unknown."""
    pulls: F64
    """(N, K (T-1) + G) what each point adds to the gradient; their sum vanishes but for the
    priors."""

    @property
    def n_unknowns(self) -> int:
        """K, of a frame."""
        return 7 if self.moves else 3


def adjusted(
    seen: Sightings,
    start: Bundle,
    *,
    moves: bool,
    focal_sigma: float | None = None,
    rule: BundleRule | None = None,
) -> Adjustment:
    """The unknowns that fit best, from `start` on. `moves`: translations are free; else all are
    zero, whatever `start` says. `focal_sigma`: standard deviation of the logarithm of the focal
    length that the sightings assume; None: it is told."""
    problem = _LeastSquares.of(seen, moves, focal_sigma, rule or BundleRule())
    bundle = start if moves else replace(start, cam_from_world=_turned_only(start.cam_from_world))
    damping = _FIRST_DAMPING
    state = problem.at(bundle)
    for _ in range(problem.rule.max_steps):
        system = problem.system(state)
        for _ in range(_TRIES):
            stepped = problem.at(problem.step(state.bundle, system, damping))
            if stepped.cost < state.cost:
                break
            damping = max(damping * 8, 1e-6)
        else:
            break
        done = state.cost - stepped.cost < problem.rule.converged * state.cost
        state, damping = stepped, max(damping / 6, 1e-9)
        if done:
            break
    system = problem.system(state)
    normal, _, part = system.without_points(0.0)
    pixels = state.residuals[:2].T * problem.rule.pixel_sigma
    return Adjustment(state.bundle, moves, pixels, normal, system.pulls(part))


_FIRST_DAMPING = 1e-3
_TRIES = 6


def _turned_only(poses: F64) -> F64:
    return rigid(poses[:, :3, :3], np.zeros((len(poses), 3)))


class _Linearisation(NamedTuple):
    """Residuals of a bundle, and what they lean on."""

    bundle: Bundle
    in_cam: F64
    """(3, O)."""
    residuals: F64
    """(R, O) two, or three with depth."""
    weights: F64
    """(R, O) of Cauchy's loss."""
    cost: float


@dataclass(frozen=True, eq=False)
class _NormalEquations:
    """Normal equations for K unknowns a frame and G that all frames share, which stand behind them,
    linear around one state."""

    seen: Sightings
    n_unknowns: int
    """K."""
    frames: F64
    """(K + G, K + G, T); of what is shared, the sum over the frames counts."""
    points: F64
    """(N, 3, 3)."""
    joint: F64
    """(K + G, 3, O)."""
    frame_gradient: F64
    """(K + G, O) by sighting."""
    prior_gradient: F64
    """(K + G, T)."""
    point_gradient: F64
    """(3, N)."""

    def without_points(self, damping: float) -> tuple[F64, F64, F64]:
        """Normal matrix (K (T-1) + G, K (T-1) + G) and gradient of the frames after the first,
        unknown k of all frames together, then what is shared; and each sighting's part in the
        gradient (K + G, O)."""
        seen = self.seen
        n_unknowns, n_frames = self.n_unknowns, seen.n_frames
        root = np.moveaxis(self.inverse_roots(damping), 0, -1)
        halves = _triangular(root, self.joint, seen.point)
        drawn = np.einsum("jlo,lo->jo", root, self.point_gradient)
        part = self.frame_gradient - np.einsum("kjo,jo->ko", halves, drawn[:, seen.point])
        size = n_unknowns * (n_frames - 1)
        rows = self._rows(halves)
        normal = -(rows @ rows.T)
        blocks = normal[:size, :size].reshape(n_unknowns, n_frames - 1, n_unknowns, n_frames - 1)
        each = np.arange(n_frames - 1)
        own, shared = np.split(self.frames, [n_unknowns])
        blocks[:, each, :, each] += np.moveaxis(own[:, :n_unknowns, 1:], -1, 0)
        border = np.moveaxis(own[:, n_unknowns:, 1:], 1, -1).reshape(size, -1)
        normal[:size, size:] += border
        normal[size:, :size] += border.T
        normal[size:, size:] += shared[:, n_unknowns:].sum(axis=-1)
        normal[np.diag_indices(len(normal))] *= 1 + damping
        gradient = self.prior_gradient + seen.by_frame(part)
        own, shared = np.split(gradient, [n_unknowns])
        return normal, np.concatenate([own[:, 1:].ravel(), shared.sum(axis=1)]), part

    def pulls(self, part: F64) -> F64:
        """(N, K (T-1) + G) what each point adds to the gradient."""
        return self._rows(part[:, None]).T

    def inverse_roots(self, damping: float) -> F64:
        """(N, 3, 3) lower triangular; its transpose times itself is the inverse of a point's own
        block."""
        size = np.einsum("nii->n", self.points)[:, None, None] / 3
        damped = self.points + (damping + 1e-9) * size * np.eye(3)
        return np.asarray(np.linalg.inv(np.linalg.cholesky(damped)))

    def _rows(self, values: F64) -> F64:
        """(K (T-1) + G, J N) of values (K + G, J, O): each unknown by axis and point; 0 where the
        point is not seen."""
        seen = self.seen
        n_axes = values.shape[1]
        own, shared = np.split(values, [self.n_unknowns])
        later, size = seen.frame_starts[1], n_axes * seen.n_points
        cell = (seen.frame[later:] - 1) * size + seen.point[later:]
        dense = np.zeros((len(own), (seen.n_frames - 1) * size))
        for axis in range(n_axes):
            dense[:, cell + axis * seen.n_points] = own[:, axis, later:]
        return np.concatenate([dense.reshape(-1, size), seen.by_point(shared).reshape(-1, size)])


@dataclass(frozen=True, eq=False)
class _LeastSquares:
    seen: Sightings
    moves: bool
    focal_sigma: float | None
    rule: BundleRule
    depth_weight: F64
    """(O,) one over the standard deviation; 0: no depth."""
    log_z: F64
    """(O,) 0 without depth."""

    @classmethod
    def of(
        cls, seen: Sightings, moves: bool, focal_sigma: float | None, rule: BundleRule
    ) -> _LeastSquares:
        known = np.isfinite(seen.log_z)
        readings = np.bincount(seen.point[known], minlength=seen.n_points)[seen.point]
        sigma = rule.depth_sigma * np.sqrt(np.maximum(readings, 1))
        weight = np.where(known, 1 / sigma, 0)
        return cls(seen, moves, focal_sigma, rule, weight, np.nan_to_num(seen.log_z))

    def at(self, bundle: Bundle) -> _Linearisation:
        seen, rule = self.seen, self.rule
        poses = np.moveaxis(bundle.cam_from_world[:, :3], 0, 1)
        everywhere = poses[..., :3].reshape(-1, 3) @ bundle.points.T + poses[..., 3].reshape(-1, 1)
        in_cam = everywhere.reshape(3, -1)[:, seen.cell]
        z = np.maximum(in_cam[2], _NEAREST)
        expected = self._focal(bundle) * in_cam[:2] / z + seen.intrinsics[:, 2:].T
        residuals = (expected - seen.xy.T) / rule.pixel_sigma
        square = (residuals**2).sum(axis=0)
        weights = np.stack([self._weight(square)] * 2)
        cost = self._loss(square)
        if self.moves:
            depth = self.depth_weight * (np.log(z) - self.log_z - bundle.log_scale[seen.frame])
            residuals = np.vstack([residuals, depth])
            weights = np.vstack([weights, self._weight(depth**2)])
            cost += self._loss(depth**2)
            cost += 0.5 * float((bundle.log_scale**2).sum()) / rule.frame_sigma**2
        if self.focal_sigma is not None:
            cost += 0.5 * (bundle.log_focal / self.focal_sigma) ** 2
        return _Linearisation(bundle, in_cam, residuals, weights, cost)

    def _focal(self, bundle: Bundle) -> F64:
        """(2, O) pixels."""
        return np.asarray(self.seen.intrinsics[:, :2].T * np.exp(bundle.log_focal))

    def _weight(self, square: F64) -> F64:
        return 1 / (1 + square / self.rule.cauchy**2)

    def _loss(self, square: F64) -> float:
        c2 = self.rule.cauchy**2
        return float(0.5 * c2 * np.log1p(square / c2).sum())

    def system(self, state: _Linearisation) -> _NormalEquations:
        """The normal equations, linear around `state`."""
        seen = self.seen
        root = np.sqrt(state.weights)
        residuals = state.residuals * root
        by_cam = self._by_cam(state) * root[:, None]
        by_pose = _crossed(state.in_cam, by_cam)
        if self.moves:
            by_scale = np.zeros((3, 1, len(seen.frame)))
            by_scale[2, 0] = -self.depth_weight * root[2]
            by_pose = np.concatenate([by_pose, by_cam, by_scale], axis=1)
        turn = np.moveaxis(state.bundle.cam_from_world[seen.frame, :3, :3], 0, -1)
        by_point = np.einsum("rjo,jko->rko", by_cam, np.ascontiguousarray(turn))
        n_unknowns = by_pose.shape[1]
        if self.focal_sigma is not None:
            by_focal = np.zeros((len(residuals), 1, len(seen.frame)))
            by_focal[:2, 0] = self._focal(state.bundle) * state.in_cam[:2] * root[:2]
            by_focal[:2, 0] /= np.maximum(state.in_cam[2], _NEAREST) * self.rule.pixel_sigma
            by_pose = np.concatenate([by_pose, by_focal], axis=1)
        frames = _squares(by_pose, seen.frame_starts)
        prior = np.zeros((len(frames), seen.n_frames))
        if self.moves:
            frames[6, 6] += 1 / self.rule.frame_sigma**2
            prior[6] = state.bundle.log_scale / self.rule.frame_sigma**2
        if self.focal_sigma is not None:
            frames[-1, -1, 0] += 1 / self.focal_sigma**2
            prior[-1, 0] = state.bundle.log_focal / self.focal_sigma**2
        return _NormalEquations(
            seen,
            n_unknowns,
            frames,
            np.moveaxis(seen.by_point(_products(by_point, by_point)), -1, 0),
            _products(by_pose, by_point),
            np.einsum("rko,ro->ko", by_pose, residuals),
            prior,
            seen.by_point(np.einsum("rko,ro->ko", by_point, residuals)),
        )

    def _by_cam(self, state: _Linearisation) -> F64:
        """(R, 3, O) derivatives of the residuals by the point in the camera's axes."""
        x, y, z = state.in_cam
        z = np.maximum(z, _NEAREST)
        fx, fy = self._focal(state.bundle) / self.rule.pixel_sigma
        by_cam = np.zeros((len(state.residuals), 3, len(x)))
        by_cam[0, 0], by_cam[0, 2] = fx / z, -fx * x / z**2
        by_cam[1, 1], by_cam[1, 2] = fy / z, -fy * y / z**2
        if self.moves:
            by_cam[2, 2] = self.depth_weight / z
        return by_cam

    def step(self, bundle: Bundle, system: _NormalEquations, damping: float) -> Bundle:
        """The bundle after one damped step."""
        seen = self.seen
        normal, gradient, _ = system.without_points(damping)
        n_unknowns = system.n_unknowns
        normal[np.diag_indices(len(normal))] += 1e-9
        solution = -np.linalg.solve(normal, gradient)
        size = n_unknowns * (seen.n_frames - 1)
        change = np.zeros((len(system.joint), seen.n_frames))
        change[:n_unknowns, 1:] = solution[:size].reshape(n_unknowns, -1)
        change[n_unknowns:] = solution[size:, None]
        pushed = system.point_gradient + seen.by_point(
            np.einsum("kjo,ko->jo", system.joint, change[:, seen.frame])
        )
        root = system.inverse_roots(damping)
        points = bundle.points - np.einsum("nki,nkj,jn->ni", root, root, pushed, optimize=True)
        shift = change[3:6].T if self.moves else np.zeros((seen.n_frames, 3))
        poses = rigid(rotations(change[:3].T), shift) @ bundle.cam_from_world
        scale = bundle.log_scale + change[6] if self.moves else bundle.log_scale
        focal = bundle.log_focal + float(change[n_unknowns:, 0].sum())
        return Bundle(poses, points, scale, focal)


def _products(left: F64, right: F64) -> F64:
    """(I, J, O) sums over the residuals R of (R, I, O) times (R, J, O)."""
    return np.einsum("rio,rjo->ijo", left, right)


def _squares(values: F64, starts: I64) -> F64:
    """(K, K, T) sums over residuals and each frame's sightings of (R, K, O) times itself."""
    rows = np.ascontiguousarray(np.moveaxis(values, 0, 1))
    frames = [rows[..., a:b].reshape(len(rows), -1) for a, b in pairwise(starts)]
    return np.stack([frame @ frame.T for frame in frames], axis=-1)


def _triangular(lower: F64, values: F64, point: I64) -> F64:
    """(K, 3, O) values (K, 3, O) turned by the lower triangular matrices (3, 3, N) of points."""
    turned = np.empty_like(values)
    for row in range(3):
        turned[:, row] = values[:, row] * lower[row, row, point]
        for column in range(row):
            turned[:, row] += values[:, column] * lower[row, column, point]
    return turned


def _crossed(left: F64, right: F64) -> F64:
    """(R, 3, O) cross products of (3, O) with (R, 3, O)."""
    (x, y, z), (u, v, w) = left, np.moveaxis(right, 1, 0)
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=1)


_NEAREST = 1e-2
"""Of the distance unit; what lies behind the camera is taken to lie there."""


def rotations(vectors: F64) -> F64:
    """(M, 3, 3) of rotation vectors (M, 3), radians (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    cross = _cross(vectors)
    first = np.sinc(angle / np.pi)  # sin(a) / a
    second = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2  # (1 - cos(a)) / a^2
    return np.asarray(np.eye(3) + first * cross + second * (cross @ cross))


def rotation_vectors(turns: F64) -> F64:
    """(M, 3) of rotations (M, 3, 3) by less than half a turn."""
    skew = 0.5 * (turns - np.swapaxes(turns, 1, 2))
    sine = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1)
    length = np.linalg.norm(sine, axis=1)
    cosine = 0.5 * (np.einsum("mii->m", turns) - 1)
    angle = np.arctan2(length, cosine)
    factor = np.divide(angle, length, out=np.ones_like(angle), where=length > 1e-12)
    return np.asarray(sine * factor[:, None])


def _cross(vectors: F64) -> F64:
    """(M, 3, 3) with cross(v) @ a = v x a."""
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.moveaxis(np.array(rows), -1, 0)
