"""`massannot status` and `explain`: how a run stands, and what became of one clip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import AsJson, app, print_json
from massannot.cli.folder_options import WorkDir


@app.command()
def status(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    work_dir: WorkDir = None,
    as_json: AsJson = False,
) -> None:
    """How a run stands: counts, speed, failures by class, shards. From anywhere, running or dead.

    \b
    massannot status out
    """
    from massannot import status as standing

    found = standing.standing(out)
    if as_json:
        print_json(standing.as_json(out, found))
    else:
        print(standing.as_text(out, found))


@app.command()
def explain(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    clip: Annotated[
        str, typer.Argument(help="A clip's id or its beginning; or VIDEO, or VIDEO#NUMBER.")
    ],
    work_dir: WorkDir = None,
    as_json: AsJson = False,
) -> None:
    """What became of one clip: where it was done, how long each stage took, or why it failed.

    \b
    massannot explain out 7c6a
    massannot explain out ball.mp4#2
    """
    from massannot import explaining

    found = explaining.explain(out, clip)
    if as_json:
        print_json([explaining.as_json(each) for each in found])
    else:
        print("\n\n".join(explaining.as_text(each) for each in found))
