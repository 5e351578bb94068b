"""Films of textured scenes with moving things and known cuts, drawn small: what a decoder's
pictures look like once they are scaled down. Frames are levels,
float (N, 72, 128, 3), until `shown`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Film = npt.NDArray[np.float64]
HEIGHT, WIDTH, N_FRAMES = 72, 128, 72
MARGIN = 48
"""The texture goes on so far beyond the picture, for a camera that moves."""


def texture(rng: np.random.Generator, *, palette: np.random.Generator | None = None) -> Film:
    """(H, W, 3) patches of several sizes, larger than the picture; one `palette`, like colours."""
    height, width = HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN
    drawn = np.broadcast_to((palette or rng).uniform(50, 200, 3), (height, width, 3)).copy()
    for size, strength in ((48, 55), (20, 40), (7, 22)):
        patches = rng.normal(0, strength, (height // size + 2, width // size + 2, 3))
        if palette is not None:
            patches = patches.mean(2, keepdims=True) * np.ones(3)
        shift = rng.integers(0, size, 2)
        large = np.kron(patches, np.ones((size, size, 1)))
        drawn += large[shift[0] : shift[0] + height, shift[1] : shift[1] + width]
    return np.clip(drawn, 0, 255)


def shot(
    rng: np.random.Generator,
    n_frames: int,
    *,
    palette: np.random.Generator | None = None,
    n_things: int = 2,
    size: float = 0.2,
    speed: float = 1.5,
) -> Film:
    """A scene: a texture that a camera drifts over, and discs that cross it; `size` is their radius
    in picture heights, `speed` their pixels a frame."""
    ground = texture(rng, palette=palette)
    drift = rng.uniform(-0.3, 0.3, 2)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    frames = np.empty((n_frames, HEIGHT, WIDTH, 3))
    starts = rng.uniform(0, 1, (n_things, 2)) * [WIDTH, HEIGHT]
    headings = rng.uniform(0, 2 * np.pi, n_things)
    colours = rng.uniform(0, 255, (n_things, 3))
    beyond = size * HEIGHT
    for t in range(n_frames):
        y, x = np.clip(MARGIN + drift * t, 0, 2 * MARGIN).astype(int)
        frames[t] = ground[y : y + HEIGHT, x : x + WIDTH]
        for start, heading, colour in zip(starts, headings, colours, strict=True):
            centre = start + speed * t * np.array([np.cos(heading), np.sin(heading)])
            centre = (centre + beyond) % ([WIDTH + 2 * beyond, HEIGHT + 2 * beyond]) - beyond
            inside = np.hypot(columns - centre[0], rows - centre[1]) < size * HEIGHT
            frames[t][inside] = colour
    return frames


def shown(rng: np.random.Generator, frames: Film) -> npt.NDArray[np.uint8]:
    """(N, 36, 64, 3) uint8: with a sensor's noise, scaled down as the decoder does."""
    noisy = np.clip(frames + rng.normal(0, 2.5, frames.shape), 0, 255)
    n = len(frames)
    return noisy.reshape(n, 36, 2, 64, 2, 3).mean((2, 4)).round().astype(np.uint8)


@dataclass(frozen=True)
class Known:
    """A film and the truth about it. `mixed`: (first, end) of what belongs to two shots at once, or
    to none."""

    pictures: npt.NDArray[np.uint8]
    cuts: tuple[int, ...] = ()
    mixed: tuple[tuple[int, int], ...] = field(default=())


def cut(seed: int) -> Known:
    rng = np.random.default_rng(seed)
    at = int(rng.integers(20, 50))
    return Known(shown(rng, np.concatenate([shot(rng, at), shot(rng, N_FRAMES - at)])), (at,))


def cut_between_like_shots(seed: int) -> Known:
    """Both in the greys of one colour."""
    rng = np.random.default_rng(seed)
    at = int(rng.integers(20, 50))
    two = [shot(rng, n, palette=np.random.default_rng(seed + 10_000)) for n in (at, N_FRAMES - at)]
    return Known(shown(rng, np.concatenate(two)), (at,))


def two_cuts_eight_apart(seed: int) -> Known:
    rng = np.random.default_rng(seed)
    at = int(rng.integers(20, 45))
    parts = [shot(rng, n) for n in (at, 8, N_FRAMES - at - 8)]
    return Known(shown(rng, np.concatenate(parts)), (at, at + 8))


def dissolve(seed: int, length: int) -> Known:
    """`length` frames that are neither the first shot alone nor the second."""
    rng = np.random.default_rng(seed)
    at = int(rng.integers(20, 30))
    first, second = shot(rng, at + length), shot(rng, N_FRAMES - at)
    share = (np.arange(1, length + 1) / (length + 1))[:, None, None, None]
    mixed = (1 - share) * first[at:] + share * second[:length]
    frames = np.concatenate([first[:at], mixed, second[length:]])
    return Known(shown(rng, frames), mixed=((at, at + length),))


def fade_out_and_in(seed: int) -> Known:
    """8 frames to black, 6 of black, 8 from black."""
    rng = np.random.default_rng(seed)
    at = int(rng.integers(18, 30))
    first, second = shot(rng, at + 8), shot(rng, N_FRAMES - at - 14)
    share = (np.arange(1, 9) / 9)[:, None, None, None]
    black = np.zeros((6, HEIGHT, WIDTH, 3))
    frames = [first[:at], (1 - share) * first[at:], black, share * second[:8], second[8:]]
    return Known(shown(rng, np.concatenate(frames)), mixed=((at, at + 22),))


def flash(seed: int) -> Known:
    """1 to 4 frames nearly or wholly white."""
    rng = np.random.default_rng(seed)
    frames = shot(rng, N_FRAMES)
    at, length = int(rng.integers(20, 50)), int(rng.integers(1, 5))
    strength = rng.uniform(0.6, 1)
    frames[at : at + length] += strength * (255 - frames[at : at + length])
    return Known(shown(rng, frames))


def whip_pan(seed: int) -> Known:
    """The camera turns by three pictures in 6 to 10 frames, each blurred along the way."""
    rng = np.random.default_rng(seed)
    wide = np.concatenate([texture(rng)[:HEIGHT, :WIDTH] for _ in range(4)], axis=1)
    at, length = int(rng.integers(20, 45)), int(rng.integers(6, 11))
    x = np.interp(np.arange(N_FRAMES + 1), [at, at + length], [0, 3 * WIDTH])
    frames = np.empty((N_FRAMES, HEIGHT, WIDTH, 3))
    for t in range(N_FRAMES):
        places = np.linspace(x[t], x[t + 1], 8).astype(int)
        frames[t] = np.mean([wide[:, p : p + WIDTH] for p in places], axis=0)
    return Known(shown(rng, frames))


def big_fast_thing(seed: int) -> Known:
    """A disc, two thirds as high as the picture, crosses it in some fifteen frames, and again."""
    rng = np.random.default_rng(seed)
    return Known(shown(rng, shot(rng, N_FRAMES, n_things=1, size=0.33, speed=12)))


def bright_thing_before_a_pale_wall(seed: int) -> Known:
    """All that stands out in the picture comes and goes, in two frames each."""
    rng = np.random.default_rng(seed)
    frames = 190 + 0.15 * (shot(rng, N_FRAMES, n_things=0) - 125)
    at = int(rng.integers(20, 40))
    top = int(rng.integers(0, 30))
    for t in range(at, at + 16):
        frames[t, top : top + 40, 20 + t : 65 + t] = [200, 90, 20] if t % 2 else [190, 80, 30]
    return Known(shown(rng, frames))


def light_step(seed: int) -> Known:
    """A lamp goes on or off."""
    rng = np.random.default_rng(seed)
    frames = shot(rng, N_FRAMES)
    frames[int(rng.integers(20, 50)) :] *= rng.choice([0.5, 0.6, 1.5])
    return Known(shown(rng, frames))


def quiet(seed: int) -> Known:
    rng = np.random.default_rng(seed)
    return Known(shown(rng, shot(rng, N_FRAMES, n_things=1, speed=0.5)))
