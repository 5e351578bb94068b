"""Flags that several commands share one by one; groups of them are in cli/options.py."""

from __future__ import annotations

import os
from pathlib import Path
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
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="More on stderr.")]
DepthMaps = Annotated[
    bool, typer.Option(help="Store depth in the table depth_maps (large); films show it anyway.")
]
Output = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        help="The folder of the dataset, here or at s3:// or gs://; runs continue in it.",
    ),
]
Onto = Annotated[
    Path | None,
    typer.Option(
        help="A finished run's folder, which is asked for more; its recipe, models and videos are "
        "taken, and what stands stays byte for byte."
    ),
]
AddPhrase = Annotated[
    list[str], typer.Option(help="With --onto: look for this too; again for more phrases.")
]
AddTable = Annotated[
    list[str],
    typer.Option(
        help="With --onto: tables that it lacks, from its rows: cameras, motions, events ..."
    ),
]
AcceptedOnly = Annotated[
    bool, typer.Option("--accepted-only", help="Only clips or questions that people accepted.")
]
MinAcceptance = Annotated[
    float | None, typer.Option(help="Publish nothing if less was accepted, 0..1.", min=0, max=1)
]
