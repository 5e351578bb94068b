"""What an output folder was made with, kept in it, so that a retry needs nothing but the folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from massannot.dataset.layout import Layout
from massannot.engine.progress import Event, Progress, RunBegun
from massannot.errors import UsageError
from massannot.recipes.digests import (
    choice_from_json,
    choice_to_json,
    code_digests,
    sampling_from_json,
)
from massannot.recipes.spec import Choice
from massannot.storage import durable
from massannot.video.sampling import Sampling

NAME = "choice.json"


@dataclass(frozen=True)
class KeptChoice:
    choice: Choice
    sampling: Sampling
    digests: Mapping[str, Any] | None = None
    """What its plan was made with; None: it was not made from a plan."""
    code: Mapping[str, str] = field(default_factory=code_digests)
    """See planned_with."""


def keep(layout: Layout, kept: KeptChoice) -> None:
    """Written at every start. A folder on which several states of the code have worked has none."""
    before = _read(layout)
    mixed = before is not None and before["code"] != kept.code
    values = {
        "choice": choice_to_json(kept.choice),
        "sampling": asdict(kept.sampling),
        "digests": kept.digests,
        "code": {} if mixed else kept.code,
    }
    text = json.dumps(values, indent=1) + "\n"
    if before != json.loads(text):  # a thousand jobs of an array say the same
        durable.write_over(layout.run / NAME, text.encode())


def keeping(layout: Layout, kept: KeptChoice, progress: Progress) -> Progress:
    """`progress` that keeps the choice as soon as the folder is known to be that of this recipe."""

    def heard(event: Event) -> None:
        if isinstance(event, RunBegun):
            keep(layout, kept)
        progress(event)

    return heard


def kept_choice(layout: Layout) -> KeptChoice:
    """Raises UsageError where there is none."""
    values = _read(layout)
    if values is None:
        raise UsageError(
            f"{layout.out}: found no run in it, expected the output folder of `massannot annotate` "
            "or `massannot run`"
        )
    return KeptChoice(
        choice_from_json(values["choice"]),
        sampling_from_json(values["sampling"]),
        values["digests"],
        values["code"],
    )


def _read(layout: Layout) -> dict[str, Any] | None:
    try:
        values: dict[str, Any] = json.loads((layout.run / NAME).read_bytes())
    except FileNotFoundError:
        return None
    return values
