"""Options that say where things lie, for every command that reads videos or writes a dataset."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def _into_environment(folder: str | None) -> str | None:
    """Workers in other processes hear of it too."""
    if folder is not None:
        os.environ["MASSANNOT_WORK_DIR"] = os.path.abspath(folder)
    return folder


WorkDir = Annotated[
    str | None,
    typer.Option(
        help="For an output in a bucket: where unfinished work lies; on a cluster a folder that "
        "all machines see. Default: MASSANNOT_WORK_DIR, else the user's cache.",
        callback=_into_environment,
    ),
]
Root = Annotated[
    str | None,
    typer.Option(help="No manifest may name a video outside of this folder (links followed)."),
]
