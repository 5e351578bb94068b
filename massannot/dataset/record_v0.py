"""The record of a folder that version 0.1 wrote, `_run/run.json`, in today's terms.

Such a folder is read, exported and published, and gets tables (`--add-table`); no clip is added.
"""

from __future__ import annotations

import ast
import json
from typing import Any

from massannot.dataset.layout import Layout
from massannot.errors import UsageError

NAME = "run.json"


def is_there(layout: Layout) -> bool:
    return (layout.run / NAME).is_file()


def values(layout: Layout) -> dict[str, Any] | None:
    """Fields of RunRecord; None: version 0.1 wrote nothing here."""
    try:
        old = json.loads((layout.run / NAME).read_bytes())
    except FileNotFoundError:
        return None
    identity = old["identity"]
    return {
        "spec": {
            "phrases": identity["prompts"],
            "recipe": identity["recipe"].get("recipe", ""),
            "sampling": _sampling(identity["sampling"]),
        },
        "recipe": identity["recipe"],
        "digest": old["digest"],
        "notes": tuple(old["notes"]),
        "weights": old["weights"],
        "starts": old["starts"],
    }


def _sampling(text: str) -> dict[str, Any]:
    """Fields of the Sampling whose repr the old record holds."""
    call = ast.parse(text, mode="eval").body
    if not isinstance(call, ast.Call):
        raise UsageError(f"{NAME}: found the sampling {text!r}, expected Sampling(...)")
    return {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
