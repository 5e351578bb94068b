"""Commands about a dataset: inspect, validate, render, report, status, explain, publish, sql."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import AsJson, app, print_json
from massannot.cli.single_flags import AcceptedOnly, MinAcceptance, Quiet, WorkDir
from massannot.counts import counted
from massannot.errors import NothingToRun
from massannot.jobs.heartbeat import never_silent

SHOWN_ROWS = 100
"""Rows of an answer that are printed for people."""


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
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="State intervals and quality anew with a file of `massannot calibrate`; no model "
            "runs."
        ),
    ] = None,
    flat: Annotated[
        bool, typer.Option("--flat", help="Also one wide table per entity and frame (duckdb).")
    ] = False,
    accepted_only: AcceptedOnly = False,
    min_acceptance: MinAcceptance = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write a NEW dataset of few large files per table, with a card: counts, models, licences,
    noise. Broken off, the same command goes on.

    \b
    massannot publish out dataset
    massannot publish out dataset --calibration mine.json
    massannot publish out dataset --min-acceptance 0.8
    massannot publish s3://bucket/out s3://bucket/dataset --license cc-by-4.0
    """
    from massannot.dataset import publish as publishing
    from massannot.dataset import record as run_record
    from massannot.dataset.layout import Layout
    from massannot.storage.path import place

    def each(file: publishing.PublishedFile) -> None:
        if not quiet:
            print(f"{file.name}: {counted(file.rows, 'row')}", file=sys.stderr)

    restate = None
    if calibration is not None:
        from massannot.jobs.certainty import Restated

        restate = Restated.of(calibration, run_record.required(Layout(place(out))))
    done = publishing.publish(
        place(out),
        place(dest),
        file_bytes=file_mb << 20,
        partial=partial,
        license=license,
        workers=workers,
        each=each,
        restate=restate,
        flat=flat,
        accepted_only=accepted_only,
        min_acceptance=min_acceptance,
    )
    if as_json:
        files = [{"name": file.name, "rows": file.rows} for file in done.files]
        counts = {"written": done.written, "unasked_phrases": done.unasked}
        print_json({"dest": str(done.dest), **counts, "files": files})
    else:
        n_tables = len({file.table for file in done.files})
        print(
            f"{done.dest}: {counted(len(done.files), 'file')} in {counted(n_tables, 'table')}, "
            f"{done.written} written now"
        )
        if done.unasked_line is not None:
            print(done.unasked_line)


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
    from massannot.jobs import status as standing

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
    from massannot.jobs import explain as explaining

    found = explaining.explain(out, clip)
    if as_json:
        print_json([explaining.as_json(each) for each in found])
    else:
        print("\n\n".join(explaining.as_text(each) for each in found))


@app.command()
def inspect(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    clip: Annotated[str | None, typer.Option(help="One clip by its id (or its beginning).")] = None,
    min_quality: Annotated[
        float | None,
        typer.Option(help="Least quality of a motion in the clip's profile, 0..1.", min=0, max=1),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What a dataset holds: tables and rows, clips, or one clip's entities and motion profile.

    \b
    massannot inspect out
    massannot inspect out --clip 7c6a
    """
    from massannot.dataset.reading import open_dataset
    from massannot.viewers import summary

    dataset = open_dataset(out)
    if clip is not None:
        view = summary.find_clip(dataset, clip)
        told = summary.clip_json if as_json else summary.clip_text
        shown = told(view, min_quality=min_quality)
    else:
        shown = summary.dataset_json(dataset) if as_json else summary.dataset_text(dataset)
    if isinstance(shown, str):
        print(shown)
    else:
        print_json(shown)


@app.command()
@never_silent
def validate(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")], as_json: AsJson = False
) -> None:
    """Check every table against its declaration and against the others; exit code 1 if wrong.

    \b
    massannot validate out
    """
    from massannot.dataset.reading import open_dataset
    from massannot.dataset.validate import problems

    dataset = open_dataset(out)
    wrong = list(problems(dataset))
    if as_json:
        print_json({"tables": list(dataset.names), "problems": wrong})
    else:
        found = f"{dataset.layout.out}: {counted(len(dataset.names), 'table')}, nothing wrong"
        print("\n".join(wrong) or found)
    if wrong:
        raise typer.Exit(1)


@app.command()
def render(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    clip: Annotated[list[str], typer.Option(help="Only clips whose id begins so.")] = [],  # noqa: B006
    width: Annotated[int, typer.Option(help="Of a film, in pixels.", min=240)] = 960,
    as_json: AsJson = False,
) -> None:
    """Draw a film per clip: boxes, masks, trails, depth, and the 3D paths from above.

    \b
    massannot render out --clip 7c6a
    """
    from massannot.dataset.reading import open_dataset
    from massannot.jobs import drawing
    from massannot.viewers import summary

    dataset = open_dataset(out)
    wanted = [summary.find_clip(dataset, c).clip_id for c in clip] or None
    films = drawing.films_of(
        dataset, clip_ids=wanted, width=width, drawn=lambda film: print(film, file=sys.stderr)
    )
    if as_json:
        print_json([str(film) for film in films])
    elif films:
        print("\n".join(map(str, films)))
    n_wanted = len(set(wanted or dataset.clip_ids))
    if not films:
        raise NothingToRun(
            f"{out}: no video of {counted(n_wanted, 'clip')} could be read again, as a film needs; "
            f"put them back where `massannot inspect {out}` says they were"
        )
    if len(films) < n_wanted:
        print(
            f"no film of {n_wanted - len(films)} of {counted(n_wanted, 'clip')}: their videos "
            "are gone",
            file=sys.stderr,
        )


@app.command()
@never_silent
def report(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    sample: Annotated[int, typer.Option("-n", help="Clips shown at most.", min=1)] = 60,
    seed: Annotated[int, typer.Option(help="Which of the others are shown.")] = 0,
    min_quality: Annotated[
        float | None,
        typer.Option(help="Leave out entities of lower or unknown quality, 0..1.", min=0, max=1),
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="What `questions ask` wrote: shown with their proof.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write pages to look at, from disk: worst clips first, one page per clip, failures by class.

    \b
    massannot report out -n 200
    """
    from massannot.dataset.reading import open_dataset
    from massannot.jobs import drawing

    index = drawing.report_of(
        open_dataset(out), sample=sample, seed=seed, min_quality=min_quality, asked=questions
    )
    if as_json:
        print_json({"report": str(index)})
    else:
        print(index)


@app.command()
def sql(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset, of a run or published.")],
    query: Annotated[str, typer.Argument(help="SQL; the tables are views, and `flat` joins them.")],
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the tables in SQL (DuckDB): each is a view, and `flat` has a row per thing and frame.

    \b
    massannot sql out "select phrase, count(*) from flat group by phrase"
    """
    from massannot.dataset.reading import open_dataset
    from massannot.dataset.sql_views import answer

    found = answer(open_dataset(out), query)
    if as_json:
        print_json(found.to_pylist())
    elif csv:
        import pyarrow.csv as pacsv

        pacsv.write_csv(found, sys.stdout.buffer)
    else:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        shown = Table(*found.column_names)
        for row in found.slice(0, SHOWN_ROWS).to_pylist():
            shown.add_row(*(escape("" if v is None else str(v)) for v in row.values()))
        Console().print(shown)
        if found.num_rows > SHOWN_ROWS:
            more = counted(found.num_rows - SHOWN_ROWS, "more row")
            print(f"{more}; --csv prints all", file=sys.stderr)
