"""Commands that look at a dataset or take it along: inspect, validate, render, report, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from massannot.cli.app import AsJson, app, print_json
from massannot.errors import NothingToRun, UsageError


@app.command()
def inspect(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    clip: Annotated[str | None, typer.Option(help="One clip by its id (or its beginning).")] = None,
    min_quality: Annotated[
        float | None, typer.Option(help="Least quality of a motion in the clip's profile, 0..1.")
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
        print("\n".join(wrong) or f"{out}: {len(dataset.names)} tables, nothing wrong")
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
        float | None, typer.Option(help="Leave out entities of lower or unknown quality, 0..1.")
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


@app.command()
def export(
    target: Annotated[
        list[str],
        typer.Argument(help="FORMAT OUT DEST: what, of which dataset, into which folder."),
    ] = [],  # noqa: B006
    list_formats: Annotated[bool, typer.Option("--list", help="Every format.")] = False,
    min_quality: Annotated[
        float | None, typer.Option(help="Leave out entities of lower or unknown quality, 0..1.")
    ] = None,
    profile_template: Annotated[
        str | None, typer.Option(help="mass-bench: only mass-v1 or mass-v2; else both.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a dataset in another format: mass-bench, coco, csv, tapvid3d, tapip3d.

    \b
    massannot export coco out coco-out
    massannot export --list
    """
    from massannot import exporting
    from massannot.io.dataset import open_dataset

    if list_formats:
        summaries = {name: exporting.summary(name) for name in exporting.names()}
        if as_json:
            print_json(summaries)
        else:
            print("\n".join(summaries.values()))
        return
    if len(target) != 3:
        found = " ".join(target) or "nothing"
        raise UsageError(f"export: found {found}, expected FORMAT OUT DEST, or --list")
    name, out, folder = target
    exporter = exporting.exporter(name)
    more: dict[str, Any] = {}
    if profile_template is not None:
        if name != "mass-bench" or profile_template not in ("mass-v1", "mass-v2"):
            raise UsageError(
                f"--profile-template {profile_template} with {name}: expected mass-v1 or mass-v2 "
                "with mass-bench"
            )
        more["profile_template"] = profile_template
    written = exporter.export(open_dataset(out), Path(folder), min_quality=min_quality, **more)
    for sentence in written.left_out:
        print(f"left out: {sentence}", file=sys.stderr)
    if as_json:
        files = [str(path) for path in written.files]
        print_json({"files": files, "left_out": list(written.left_out)})
    else:
        print("\n".join(map(str, written.files)))
