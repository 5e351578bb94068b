"""`massannot run` and `retry`: carry out a plan, and try again what failed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import AsJson, app
from massannot.cli.flag_groups import takes
from massannot.cli.options import ExecutorFlags
from massannot.cli.single_flags import AddPhrase, AddTable, Onto, Quiet, Verbose
from massannot.errors import UsageError


@app.command()
@takes(executor=ExecutorFlags)
def run(
    executor: ExecutorFlags,
    plan: Annotated[
        Path | None, typer.Argument(help="Folder of a plan, see `massannot plan`.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The folder of the dataset, here or at s3:// or gs://."
        ),
    ] = None,
    onto: Onto = None,
    add_phrase: AddPhrase = [],  # noqa: B006
    add_table: AddTable = [],  # noqa: B006
    shard: Annotated[
        str | None,
        typer.Option(help="I/N: one of N equal shares, 0-based; default: Slurm's array task."),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Run a plan. The same command continues, whatever was killed; nothing is done twice.

    \b
    massannot run plan -o out
    massannot run plan -o out --shard 3/64
    massannot run plan -o out --executor ray --actors-per-gpu 2
    massannot run --onto out --add-phrase "a green cone" --executor ray
    """
    if onto is not None or add_phrase or add_table:
        from massannot.cli.onto import asked_besides

        if plan is not None or out is not None or shard is not None:
            raise UsageError(
                f"--onto {onto}: found a plan, -o or --shard beside it; it has its own"
            )
        asked_besides(
            onto, add_phrase, add_table, executor, quiet=quiet, verbose=verbose, as_json=as_json
        )
    if plan is None or out is None:
        raise UsageError("run: expected PLAN and -o OUT, or --onto OUT --add-phrase TEXT")
    from massannot.jobs.repeated import Command

    array = sorted(item for item in os.environ.items() if item[0].startswith("SLURM_ARRAY"))
    command = Command(out, repr(("run", plan, executor, shard, array)))
    if (earlier := command.earlier_outcome()) is not None:
        earlier.print(as_json=as_json)
        raise typer.Exit(earlier.code)

    from massannot.jobs import run as job
    from massannot.jobs.outcome import run_and_print
    from massannot.storage.path import place

    share = job.share_from(shard)
    settings, options = executor.settings(), executor.options(max_failed=job.MAX_FAILED)
    code = run_and_print(
        lambda: job.run(
            plan,
            place(out),
            settings,
            options,
            share=share,
            quiet=quiet,
            verbose=verbose,
            command=command,
        ),
        as_json=as_json,
    )
    raise typer.Exit(code)


@app.command()
@takes(executor=ExecutorFlags)
def retry(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    executor: ExecutorFlags,
    status: Annotated[
        str,
        typer.Option(help="Which clips: failed, quarantined, corrected, or several with commas."),
    ] = "failed",
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Do the clips again that ended so, or that people corrected, and no others; also goes on with
    what was left to do.

    Corrected: boxes, points, outlines and names that people gave in `massannot review` are taken as
    given; only the things they touched are made anew. The rows that stand are there until a shard's
    new ones are complete, which then take their place.

    \b
    massannot retry out --status failed,quarantined
    massannot retry out --status corrected
    """
    from massannot.jobs import run as job
    from massannot.jobs.outcome import run_and_print
    from massannot.storage.path import place

    statuses = tuple(part.strip() for part in status.split(",") if part.strip())
    settings, options = executor.settings(), executor.options(max_failed=job.MAX_FAILED)
    code = run_and_print(
        lambda: job.retry(place(out), statuses, settings, options, quiet=quiet, verbose=verbose),
        as_json=as_json,
    )
    raise typer.Exit(code)
