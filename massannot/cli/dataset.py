"""Commands that look at a dataset or draw it: inspect, validate, render, report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import AsJson, app, print_json
from massannot.errors import NothingToRun


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
    from massannot import inspecting
    from massannot.io.dataset import open_dataset

    dataset = open_dataset(out)
    if clip is not None:
        view = inspecting.find_clip(dataset, clip)
        told = inspecting.clip_json if as_json else inspecting.clip_text
        shown = told(view, min_quality=min_quality)
    else:
        shown = inspecting.dataset_json(dataset) if as_json else inspecting.dataset_text(dataset)
    if isinstance(shown, str):
        print(shown)
    else:
        print_json(shown)


@app.command()
def validate(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")], as_json: AsJson = False
) -> None:
    """Check every table against its declaration and against the others; exit code 1 if wrong.

    \b
    massannot validate out
    """
    from massannot.io.dataset import open_dataset
    from massannot.io.validate import problems

    dataset = open_dataset(out)
    wrong = list(problems(dataset))
    if as_json:
        print_json({"tables": list(dataset.names), "problems": wrong})
    else:
        found = f"{dataset.layout.out}: {len(dataset.names)} tables, nothing wrong"
        print("\n".join(wrong) or found)
    if wrong:
        raise typer.Exit(1)


@app.command()
def render(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    clip: Annotated[list[str], typer.Option(help="Only clips whose id begins so.")] = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Draw a film per clip: boxes, masks, trails, depth, and the 3D paths from above.

    \b
    massannot render out --clip 7c6a
    """
    from massannot import api, inspecting
    from massannot.io.dataset import open_dataset

    dataset = open_dataset(out)
    wanted = [inspecting.find_clip(dataset, c).clip_id for c in clip] or None
    films = api.films_of(dataset, clip_ids=wanted, each=lambda film: print(film, file=sys.stderr))
    if as_json:
        print_json([str(film) for film in films])
    elif films:
        print("\n".join(map(str, films)))
    n_wanted = len(set(wanted or dataset.clip_ids))
    if not films:
        raise NothingToRun(
            f"{out}: none of {n_wanted} clips' videos could be read again, which a film needs; "
            f"put them back where `massannot inspect {out}` says they were"
        )
    if len(films) < n_wanted:
        print(
            f"{n_wanted - len(films)} of {n_wanted} clips have no film: their videos are gone",
            file=sys.stderr,
        )


@app.command()
def report(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    sample: Annotated[int, typer.Option("-n", help="Clips shown at most.", min=1)] = 60,
    seed: Annotated[int, typer.Option(help="Which of the others are shown.")] = 0,
    min_quality: Annotated[
        float | None,
        typer.Option(help="Leave out entities of lower or unknown quality, 0..1.", min=0, max=1),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a page to look at: worst clips first, one page per clip, failures by class.

    \b
    massannot report out -n 200
    """
    from massannot import api
    from massannot.io.dataset import open_dataset

    index = api.report_of(open_dataset(out), sample=sample, seed=seed, min_quality=min_quality)
    if as_json:
        print_json({"report": str(index)})
    else:
        print(index)
