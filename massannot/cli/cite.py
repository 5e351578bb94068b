"""`massannot cite`: whom to name, and whose licences count, when a dataset is given away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import AsJson, app, print_json


@app.command()
def cite(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset, of a run or published.")],
    as_json: AsJson = False,
) -> None:
    """Print the models, weights, revisions and licences behind a dataset, and BibTeX for them.

    \b
    massannot cite out > out.bib
    """
    from massannot.jobs import cite as citing

    citation = citing.cite(out)
    if as_json:
        print_json(citation.as_json())
    else:
        print(citation.as_text())
