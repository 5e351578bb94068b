"""The folder of one training: its settings, the models it left and its checkpoints.

The same command continues in its folder from the last checkpoint. What was trained is decided by
the settings in `run.json`; a folder whose settings differ is refused by the first that does. Models
appear whole: half a warm-up must not be taken for one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from massannot.errors import OtherRecipe, UsageError

RUN = "run.json"
BEFORE, AFTER, CHECKPOINTS = "before", "model", "checkpoints"
STATE = "trainer_state.json"
"""Of a checkpoint: TRL's own."""
_OLDER = {"method": "tgrpo", "after": None}
"""Settings that were always so before they were written down."""


def settings_of(run: Path) -> dict[str, Any]:
    """What run.json holds. Raises UsageError for a folder without one."""
    if not (run / RUN).exists():
        raise UsageError(f"{run}: found no {RUN}, expected what `massannot rft train -o` wrote")
    return {**_OLDER, **json.loads((run / RUN).read_text())}


def ended(run: Path) -> dict[str, Any]:
    """How a training went: its settings, the folder of its model, its last step, and what was
    logged last."""
    checkpoint = last_checkpoint(run)
    found: dict[str, Any] = {"model_folder": str(run / AFTER), **settings_of(run)}
    if checkpoint is not None:
        logged = json.loads((checkpoint / STATE).read_text())["log_history"]
        found |= {"step": step_of(checkpoint), "logged": logged[-1] if logged else None}
    return found


def refuse_other_run(out: Path, settings: dict[str, Any]) -> None:
    """Raises OtherRecipe where the folder holds a run with another value of a setting."""
    if not (out / RUN).exists():
        return
    existing = settings_of(out)
    for key, wanted in settings.items():
        if existing.get(key, wanted) != wanted:
            raise OtherRecipe(
                f"{out}: found a run with {key} {existing[key]!r}, expected {wanted!r}; "
                "take another folder"
            )


def trained_before(after: Path) -> dict[str, Any]:
    """The settings of the run to go on from, with `weights`, a digest of its model. Raises
    UsageError where it is no run, or has not ended."""
    settings = settings_of(after)
    files = sorted((after / AFTER).glob("*.safetensors"))
    if not files:
        raise UsageError(
            f"--after {after}: found no {AFTER}/, expected a training that has ended; give its "
            "command again, and it continues"
        )
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(file.read_bytes())
    return {**settings, "weights": digest.hexdigest()}


def last_checkpoint(out: Path) -> Path | None:
    """The folder of the last one that is whole; None: there is none."""
    whole = [
        path
        for path in (out / CHECKPOINTS).glob("checkpoint-*")
        if (path / STATE).exists()  # written after the weights
    ]
    return max(whole, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])


def save(model: Any, processor: Any, folder: Path) -> None:
    """Write both, in the place of what is there. Of LoRA, what is saved runs without peft."""
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    unfinished = folder.with_name(f".{folder.name}")
    model.save_pretrained(unfinished)
    processor.save_pretrained(unfinished)
    if folder.exists():
        shutil.rmtree(folder)
    unfinished.rename(folder)
