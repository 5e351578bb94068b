"""Rigid bodies under gravity: they fall, bounce, roll, slide, tumble and collide.

Impulses at contacts (Coulomb friction, restitution) are found by projected Gauss-Seidel at 240
steps a second; between contacts the flight is the exact parabola and the exact angular momentum.
Unusual: the total energy may not grow. What pushing two overlapping bodies apart would add is taken
from the velocity of the bodies that touch. The room is the frame: z up, the floor at z = 0, metres.
"""

import math
from dataclasses import dataclass

import numpy as np

from massannot.scenes.contacts import (
    ROOM,
    Contact,
    ContactKind,
    Plane,
    touching_pair,
    touching_plane,
)
from massannot.scenes.shapes import Floats, Shape
from massannot.scenes.touches import GAP_S, Touch, TouchLog

GRAVITY_M_S2 = 9.81
STEPS_PER_S = 240
ROLLING_LOSS_PER_S = 0.12  # share of its speed that a rolling body loses

_SWEEPS = 12
_SETTLED_M_S = 1e-5
_BOUNCE_FROM_M_S = 0.25  # slower approaches do not bounce, or nothing would ever come to rest
_EVENT_FROM_M_S = 0.15
_SLOP_M = 0.0005
_REST_M_S = 0.03
_REST_S = 0.15


@dataclass(frozen=True)
class Body:
    """A body at the start: where it is and how it moves, in the room frame."""

    shape: Shape
    density_kg_m3: float
    restitution: float
    friction: float
    position: Floats  # (3,)
    rotation: Floats  # (3,3) room_from_body
    velocity: Floats  # (3,) m/s
    spin: Floats  # (3,) rad/s

    @property
    def mass_kg(self) -> float:
        return self.shape.volume_m3 * self.density_kg_m3


@dataclass(frozen=True)
class ContactEvent:
    """Two bodies, or a body and the room (`second` None), begin to touch."""

    t_s: float
    kind: ContactKind
    first: int
    second: int | None
    approach_m_s: float


@dataclass(frozen=True)
class Breach:
    """From a frame on, one body does not obey the laws of physics."""

    body: int
    frame: int
    gravity_share: float = 1.0
    """Of gravity that acts on the body: 0 it floats, -1 it falls upward."""
    solid: bool = True
    """Off: nothing that it meets stops it."""
    shift_m: Floats | None = None
    """(3,) by which it is displaced at once, room frame."""


@dataclass(frozen=True)
class Motion:
    """The motion of all bodies: arrays over (frames T, bodies N), in the room frame."""

    position: Floats  # (T,N,3)
    rotation: Floats  # (T,N,3,3) room_from_body
    velocity: Floats  # (T,N,3)
    spin: Floats  # (T,N,3)
    energy_J: Floats  # (T,)
    events: tuple[ContactEvent, ...]
    touches: tuple[Touch, ...] = ()


def room_planes(half_x_m: float, half_y_m: float, height_m: float) -> list[Plane]:
    """Floor, four walls and ceiling of a room centred on the origin."""
    planes = [Plane("floor", np.array([0.0, 0, 1]), 0.0)]
    for axis, half in ((0, half_x_m), (1, half_y_m)):
        for side in (1.0, -1.0):
            normal = np.zeros(3)
            normal[axis] = side
            planes.append(Plane("wall", normal, -half))
    planes.append(Plane("wall", np.array([0.0, 0, -1]), -height_m))
    return planes


def simulate(
    bodies: list[Body],
    planes: list[Plane],
    *,
    fps: float,
    n_frames: int,
    breach: Breach | None = None,
) -> Motion:
    """Motion of `bodies` sampled at frame / fps seconds, frame 0 being the start.

    The same to the last bit before the frame of a `breach`, whatever it is.
    """
    run = _Run(bodies, planes)
    steps = max(1, round(STEPS_PER_S / fps))
    snapshots = [run.snapshot()]
    for frame in range(n_frames - 1):
        if breach is not None and frame == breach.frame:
            run.suffer(breach)
            snapshots[-1] = run.snapshot()
        for _ in range(steps):
            run.step(1 / (fps * steps))
        snapshots.append(run.snapshot())
    position, rotation, velocity, spin, energy = zip(*snapshots, strict=True)
    return Motion(
        np.stack(position),
        np.stack(rotation),
        np.stack(velocity),
        np.stack(spin),
        np.array(energy),
        tuple(run.events),
        run.touches.touches(t_s=run.t_s),
    )


class _Run:
    def __init__(self, bodies: list[Body], planes: list[Plane]) -> None:
        self.bodies = bodies
        self.planes = planes
        self.t_s = 0.0
        self.events: list[ContactEvent] = []
        self.mass = np.array([b.mass_kg for b in bodies])
        self.inertia = np.array([b.mass_kg * b.shape.inertia_per_mass for b in bodies])
        self.position = np.array([b.position for b in bodies], float)
        self.rotation = np.array([b.rotation for b in bodies], float)
        self.velocity = np.array([b.velocity for b in bodies], float)
        self.spin = np.array([b.spin for b in bodies], float)
        self.resting_s = np.zeros(len(bodies))
        self.bound = np.array([b.shape.bound_m for b in bodies])
        self.gravity_share = np.ones(len(bodies))
        self.solid = np.ones(len(bodies), bool)
        self.last_touch: dict[tuple[str, int, int], float] = {}
        self.touches = TouchLog()

    def suffer(self, breach: Breach) -> None:
        """Change the laws for one body, which wakes up."""
        self.gravity_share[breach.body] = breach.gravity_share
        self.solid[breach.body] = breach.solid
        if breach.shift_m is not None:
            self.position[breach.body] += breach.shift_m
        self.resting_s[:] = 0

    def snapshot(self) -> tuple[Floats, Floats, Floats, Floats, float]:
        moving = (self.position, self.rotation, self.velocity, self.spin)
        position, rotation, velocity, spin = (a.copy() for a in moving)
        return position, rotation, velocity, spin, self.energy()

    def energy(self) -> float:
        local = np.einsum("nji,nj->ni", self.rotation, self.spin)
        kinetic = 0.5 * (self.mass * (self.velocity**2).sum(1)).sum()
        turning = 0.5 * (self.inertia * local**2).sum()
        weight = self.mass * self.gravity_share
        return float(kinetic + turning + GRAVITY_M_S2 * (weight * self.position[:, 2]).sum())

    def step(self, h: float) -> None:
        asleep = self.resting_s > _REST_S
        before = self.energy()
        self._fly(h, ~asleep)
        self.t_s += h
        self.touches.sleep(asleep, t_s=self.t_s)
        contacts = self._contacts(asleep)
        if contacts:
            self._collide(contacts, h)
            self._separate(contacts)
            self._pay(before, contacts)
        self._tire(contacts, h)

    def _fly(self, h: float, awake: np.ndarray) -> None:
        self.position[awake] += self.velocity[awake] * h
        share = self.gravity_share[awake]
        self.position[awake, 2] -= 0.5 * GRAVITY_M_S2 * h * h * share
        self.velocity[awake, 2] -= GRAVITY_M_S2 * h * share
        for i in np.flatnonzero(awake & (np.abs(self.spin).max(axis=1) > 0)):
            rotation, inertia = self.rotation[i], self.inertia[i]
            momentum = rotation @ (inertia * (rotation.T @ self.spin[i]))
            halfway = turned(rotation, self.spin[i] * (0.5 * h))
            spin = halfway @ ((halfway.T @ momentum) / inertia)
            self.rotation[i] = turned(rotation, spin * h)
            self.spin[i] = self.rotation[i] @ ((self.rotation[i].T @ momentum) / inertia)

    def _contacts(self, asleep: np.ndarray) -> list[Contact]:
        contacts: list[Contact] = []
        for i, body in enumerate(self.bodies):
            if asleep[i] or not self.solid[i]:
                continue
            for plane in self.planes:
                points = touching_plane(body.shape, self.position[i], self.rotation[i], plane)
                for point in points:
                    depth = plane.offset_m - float(point @ plane.normal)
                    contacts.append(Contact(plane.kind, i, ROOM, point, plane.normal, depth))
        gap = np.linalg.norm(self.position[:, None] - self.position[None], axis=-1)
        close = np.triu(gap < self.bound[:, None] + self.bound[None], 1)
        close &= ~(asleep[:, None] & asleep[None]) & self.solid[:, None] & self.solid[None]
        for i, j in np.argwhere(close):
            one = (self.bodies[i].shape, self.position[i], self.rotation[i])
            two = (self.bodies[j].shape, self.position[j], self.rotation[j])
            pair = touching_pair(one, two)
            if pair and (asleep[i] or asleep[j]):
                mover = j if asleep[i] else i
                if np.linalg.norm(self.velocity[mover]) > _REST_M_S:
                    self.resting_s[[i, j]] = 0
            contacts += [Contact("body", int(i), int(j), p, n, d) for p, n, d in pair]
        return contacts

    def _collide(self, contacts: list[Contact], h: float) -> None:
        rows, inverse = self._jacobian(contacts)
        speed = np.concatenate([self.velocity, self.spin], axis=1).ravel()
        relative = rows @ speed
        target = np.zeros(len(relative))
        friction = np.empty(len(contacts))
        for c, contact in enumerate(contacts):
            approach = -relative[3 * c]
            bounce, friction[c] = self._surface(contact)
            if approach > _BOUNCE_FROM_M_S:
                target[3 * c] = bounce * approach
            self._note(contact, approach)
        pushed = inverse @ rows.T  # (6N, 3C)
        impulse = _gauss_seidel(rows @ pushed, relative, target, friction)
        after = (speed + pushed @ impulse).reshape(len(self.bodies), 6)
        self.velocity, self.spin = after[:, :3].copy(), after[:, 3:].copy()
        for c, parting in enumerate((rows @ after.ravel())[::3].tolist()):
            self.touches.parted(contacts[c], parting)

    def _surface(self, contact: Contact) -> tuple[float, float]:
        one = self.bodies[contact.first]
        if contact.second == ROOM:
            return one.restitution, one.friction
        two = self.bodies[contact.second]
        friction = float(np.sqrt(one.friction * two.friction))
        return 0.5 * (one.restitution + two.restitution), friction

    def _note(self, contact: Contact, approach_m_s: float) -> None:
        key = (contact.kind, contact.first, contact.second)
        last = self.last_touch.get(key, -np.inf)
        self.last_touch[key] = self.t_s
        self.touches.note(contact, t_s=self.t_s, approach_m_s=float(approach_m_s))
        if approach_m_s < _EVENT_FROM_M_S or self.t_s - last < GAP_S:
            return
        t_s = max(0.0, self.t_s - contact.depth_m / approach_m_s)
        second = None if contact.second == ROOM else contact.second
        event = ContactEvent(t_s, contact.kind, contact.first, second, float(approach_m_s))
        self.events.append(event)

    def _jacobian(self, contacts: list[Contact]) -> tuple[Floats, Floats]:
        """(3C, 6N) velocity along normal and two tangents of every contact; (6N,6N) inverse mass.

        A body that sleeps and is not woken by this contact is as heavy as the room.
        """
        n = len(self.bodies)
        rows = np.zeros((len(contacts), 3, n, 6))
        axes = _axes(np.array([contact.normal for contact in contacts]))
        points = np.array([contact.point for contact in contacts])
        first = np.array([contact.first for contact in contacts])
        second = np.array([contact.second for contact in contacts])
        every = np.arange(len(contacts))
        for bodies, sign, used in ((first, 1.0, every), (second, -1.0, every[second != ROOM])):
            body = bodies[used]
            arm = (points[used] - self.position[body])[:, None]
            rows[used, :, body, :3] = sign * axes[used]
            rows[used, :, body, 3:] = sign * _cross(arm, axes[used])
        inverse = np.zeros((n, 6, n, 6))
        for i in np.flatnonzero(self.resting_s <= _REST_S):
            inverse[i, [0, 1, 2], i, [0, 1, 2]] = 1 / self.mass[i]
            turn = self.rotation[i] / self.inertia[i] @ self.rotation[i].T
            inverse[i, 3:, i, 3:] = turn
        return rows.reshape(3 * len(contacts), 6 * n), inverse.reshape(6 * n, 6 * n)

    def _separate(self, contacts: list[Contact]) -> None:
        """Push overlapping bodies apart, each pair by its deepest contact."""
        deepest: dict[tuple[int, int, tuple[float, ...]], Contact] = {}
        for contact in contacts:
            facing = tuple(contact.normal) if contact.second == ROOM else ()
            key = (contact.first, contact.second, facing)
            if key not in deepest or contact.depth_m > deepest[key].depth_m:
                deepest[key] = contact
        for contact in deepest.values():
            excess = contact.depth_m - _SLOP_M
            if excess <= 0:
                continue
            if contact.second == ROOM:
                self.position[contact.first] += contact.normal * excess
                continue
            pair = np.array([contact.first, contact.second])
            ease = np.where(self.resting_s[pair] > _REST_S, 0, 1 / self.mass[pair])
            if ease.sum() > 0:
                share = 0.8 * excess * ease / ease.sum()
                self.position[pair[0]] += contact.normal * share[0]
                self.position[pair[1]] -= contact.normal * share[1]

    def _pay(self, before: float, contacts: list[Contact]) -> None:
        """Take from the touching bodies' velocity whatever energy this step has added."""
        gained = self.energy() - before
        if gained <= 0:
            return
        touching = sorted({i for c in contacts for i in (c.first, c.second) if i != ROOM})
        local = np.einsum("nji,nj->ni", self.rotation[touching], self.spin[touching])
        kinetic = 0.5 * (self.mass[touching] * (self.velocity[touching] ** 2).sum(1)).sum()
        kinetic += 0.5 * (self.inertia[touching] * local**2).sum()
        scale = np.sqrt(max(0.0, 1 - gained / kinetic)) if kinetic > 0 else 0.0
        self.velocity[touching] *= scale
        self.spin[touching] *= scale

    def _tire(self, contacts: list[Contact], h: float) -> None:
        """Rolling resistance for bodies that touch the floor in a point or a line, the same for
        velocity and spin so that they keep rolling; sleep for bodies in contact that hardly
        move."""
        touching = np.zeros(len(self.bodies), bool)
        floor_points = np.zeros(len(self.bodies), int)
        for contact in contacts:
            touching[contact.first] = True
            if contact.second != ROOM:
                touching[contact.second] = True
            floor_points[contact.first] += contact.kind == "floor"
        rolling = (floor_points == 1) | (floor_points == 2)
        self.velocity[rolling] *= 1 - ROLLING_LOSS_PER_S * h
        self.spin[rolling] *= 1 - ROLLING_LOSS_PER_S * h
        rim = np.linalg.norm(self.spin, axis=1) * self.bound
        still = (np.linalg.norm(self.velocity, axis=1) + rim) < _REST_M_S
        asleep = self.resting_s > _REST_S
        self.resting_s = np.where(asleep | (still & touching), self.resting_s + h, 0.0)
        fallen_asleep = self.resting_s > _REST_S
        self.velocity[fallen_asleep] = 0
        self.spin[fallen_asleep] = 0


def turned(rotation: Floats, angle: Floats) -> Floats:
    """`rotation` (3,3) turned about the axis `angle` (3,) by its length in radians (Rodrigues)."""
    x, y, z = (float(v) for v in angle)
    size = np.sqrt(x * x + y * y + z * z)
    if size < 1e-12:
        return rotation
    x, y, z = x / size, y / size, z / size
    s, c = np.sin(size), 1 - np.cos(size)
    turn = np.array(
        [
            [1 - c * (y * y + z * z), c * x * y - s * z, c * x * z + s * y],
            [c * x * y + s * z, 1 - c * (x * x + z * z), c * y * z - s * x],
            [c * x * z - s * y, c * y * z + s * x, 1 - c * (x * x + y * y)],
        ]
    )
    return turn @ rotation


def _axes(normals: Floats) -> Floats:
    """(C,3,3) rows: each normal (C,3) and two tangents."""
    flat = np.abs(normals[:, :1]) < 0.7
    one = _cross(normals, np.where(flat, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]))
    one /= np.sqrt((one * one).sum(axis=1))[:, None]
    return np.stack([normals, one, _cross(normals, one)], axis=1)


def _cross(a: Floats, b: Floats) -> Floats:
    """np.cross over the last axis, which costs ten times as much on a handful of rows."""
    out = np.empty(np.broadcast_shapes(a.shape, b.shape))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        out[..., i] = a[..., j] * b[..., k] - a[..., k] * b[..., j]
    return out


def _gauss_seidel(A: Floats, relative: Floats, target: Floats, friction: Floats) -> Floats:
    """Impulses (3C,) with normal >= 0 and |tangent| <= friction * normal (Catto 2005)."""
    impulse = np.zeros(len(relative))
    diagonal = A.diagonal().tolist()
    start, aim, grip = relative.tolist(), target.tolist(), friction.tolist()
    rows = list(A)
    for _ in range(_SWEEPS):
        change = 0.0
        for c, limit in enumerate(grip):
            n = 3 * c
            if diagonal[n] <= 0:
                continue
            error = start[n] + float(rows[n].dot(impulse)) - aim[n]
            last = float(impulse[n])
            normal = max(0.0, last - error / diagonal[n])
            impulse[n] = normal
            change = max(change, abs(normal - last) * diagonal[n])
            one = float(impulse[n + 1])
            one -= (start[n + 1] + float(rows[n + 1].dot(impulse))) / diagonal[n + 1]
            impulse[n + 1] = one
            two = float(impulse[n + 2])
            two -= (start[n + 2] + float(rows[n + 2].dot(impulse))) / diagonal[n + 2]
            size = math.hypot(one, two)
            shrink = limit * normal / size if size > limit * normal else 1.0
            impulse[n + 1], impulse[n + 2] = one * shrink, two * shrink
        if change < _SETTLED_M_S:
            break
    return impulse
