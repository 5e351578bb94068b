"""Which seeds are for training and which are for judging.

A trainer draws seeds only from TRAINING_SEEDS and calls `refuse_held_out` on every seed it was
given. VALIDATION_SEEDS calibrate thresholds and pick checkpoints; TEST_SEEDS give the numbers that
are published, and nothing else may look at them.
"""

from collections.abc import Iterable

VALIDATION_SEEDS = range(900_000, 900_128)
TEST_SEEDS = range(900_128, 900_256)
HELD_OUT_SEEDS = range(900_000, 901_000)  # the two above and room for later rulers
TRAINING_SEEDS = range(1_000_000, 2_000_000_000)


def refuse_held_out(seeds: Iterable[int]) -> None:
    """Raise ValueError if any of the seeds is kept for validation or test."""
    held_out = sorted(seed for seed in set(seeds) if seed in HELD_OUT_SEEDS)
    if held_out:
        raise ValueError(
            f"training seeds: found {held_out[:5]} of the held-out seeds "
            f"{HELD_OUT_SEEDS.start}..{HELD_OUT_SEEDS.stop - 1}, expected none; "
            f"draw from TRAINING_SEEDS ({TRAINING_SEEDS.start} and up)"
        )
