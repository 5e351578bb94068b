"""`massannot annotate`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import AsJson, app
from massannot.cli.flag_groups import takes
from massannot.cli.options import ExecutorFlags, RecipeOptions, SelectOptions
from massannot.cli.single_flags import (
    AddPhrase,
    AddTable,
    DepthMaps,
    Onto,
    Output,
    Quiet,
    Verbose,
)
from massannot.errors import UsageError


@app.command()
@takes(recipe=RecipeOptions, select=SelectOptions, executor=ExecutorFlags)
def annotate(
    recipe: RecipeOptions,
    select: SelectOptions,
    executor: ExecutorFlags,
    videos: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, globs, also at s3:// gs:// hf://; @list.txt with a name a line; "
            "WebDataset tars, shards-{000..012}.tar; a cosmos-curate folder; or a manifest: .csv "
            ".json .jsonl .parquet with columns video, question, entities and more."
        ),
    ] = None,
    onto: Onto = None,
    add_phrase: AddPhrase = [],  # noqa: B006
    add_table: AddTable = [],  # noqa: B006
    out: Output = Path("massannot-out"),
    depth_maps: DepthMaps = False,
    films: Annotated[bool, typer.Option(help="Render a film per clip and the report.")] = True,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Annotate videos: boxes, masks, tracks, 3D motion; a film per clip and a report.

    The same command continues an interrupted run and does nothing twice.

    \b
    massannot annotate ball.mp4 -p "a red ball" -p "a blue box" -o out
    massannot annotate match.mp4 -p "a ball" -o out --start 12.5 --end 18
    massannot annotate videos/ -p "a ball . a hoop" -o out --profile mass --fps 5
    massannot annotate ball.mp4 -p ball -o out --profile none \\
        --boxes boxes.json --masks masks.json --depth depth.npz
    massannot annotate scenes/videos -p "a red ball" -o out --profile none \\
        --scenes scenes --oracle detect,masks,depth,cameras
    massannot annotate --onto out --add-phrase "a green cone"
    massannot annotate --onto out --add-table motions,events
    """
    if onto is not None or add_phrase or add_table:
        from massannot.cli.onto import asked_besides

        if videos:
            raise UsageError(f"--onto {onto}: found {videos[0]} beside it; its videos are asked")
        asked_besides(
            onto, add_phrase, add_table, executor, quiet=quiet, verbose=verbose, as_json=as_json
        )
    if not videos:
        raise UsageError("found no videos, expected files, folders, a manifest, or --onto OUT")
    from massannot.jobs.repeated import Command

    command = Command(out, repr(("annotate", videos, recipe, select, executor, depth_maps, films)))
    if (earlier := command.earlier_outcome()) is not None:
        earlier.print(as_json=as_json)
        raise typer.Exit(earlier.code)

    from massannot.jobs import annotate as job
    from massannot.jobs.outcome import run_and_print
    from massannot.storage.path import place

    flags = recipe.flags()
    spec = recipe.spec(videos, flags, depth_maps=depth_maps, select=select.selection())
    settings, options = executor.settings(), executor.options(max_failed=0.0)
    code = run_and_print(
        lambda: job.run(
            spec,
            place(out),
            settings,
            options,
            films=films,
            warnings=flags.without_effect(),
            quiet=quiet,
            verbose=verbose,
            command=command,
        ),
        as_json=as_json,
    )
    raise typer.Exit(code)
