"""`massannot publish`: a finished run becomes a dataset to give away."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import AsJson, app, print_json


@app.command()
def publish(
    out: Annotated[Path, typer.Argument(help="Output folder of a finished run, here or s3://.")],
    dest: Annotated[Path, typer.Argument(help="A new folder, here or at s3:// or gs://.")],
    file_mb: Annotated[
        int, typer.Option(help="Size of files; larger where a table would have too many.", min=1)
    ] = 512,
    partial: Annotated[bool, typer.Option(help="Also of a run that is not over.")] = False,
    license: Annotated[
        str | None, typer.Option(help="The dataset's own licence; default: the weights' strictest.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Files written at once.", min=1)] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a NEW dataset of few large files per table, with a card: counts, models, licences,
    noise. Broken off, the same command goes on.

    \b
    massannot publish out dataset
    massannot publish s3://bucket/out s3://bucket/dataset --license cc-by-4.0
    """
    from massannot.io import publish as publishing
    from massannot.io.bucket_path import place

    def each(file: publishing.PublishedFile) -> None:
        if not quiet:
            print(f"{file.name}: {file.rows} rows", file=sys.stderr)

    done = publishing.publish(
        place(out),
        place(dest),
        file_bytes=file_mb << 20,
        partial=partial,
        license=license,
        workers=workers,
        each=each,
    )
    if as_json:
        files = [{"name": file.name, "rows": file.rows} for file in done.files]
        print_json({"dest": str(done.dest), "written": done.written, "files": files})
    else:
        print(
            f"{done.dest}: {len(done.files)} files in {len({f.table for f in done.files})} tables, "
            f"{done.written} written now"
        )
