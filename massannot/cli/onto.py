"""`--onto OUT` with `--add-phrase TEXT` or `--add-table NAMES`, of `annotate` and `run`."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import typer

from massannot.cli.options import ExecutorFlags
from massannot.errors import UsageError


def asked_besides(
    onto: Path | None,
    phrases: list[str],
    table_names: list[str],
    executor: ExecutorFlags,
    *,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> NoReturn:
    """Ask the dataset, and end with the job's exit code. Raises UsageError for one flag alone."""
    from massannot.jobs import onto as job
    from massannot.jobs import onto_tables
    from massannot.jobs.outcome import run_and_print
    from massannot.jobs.run import MAX_FAILED
    from massannot.storage.path import place

    if onto is None or not (phrases or table_names):
        raise UsageError("found one of --onto and --add-phrase or --add-table, expected both")
    if phrases and table_names:
        raise UsageError("found --add-phrase and --add-table, expected one command for each")
    if table_names:
        code = run_and_print(
            lambda: onto_tables.add_tables(place(onto), table_names, quiet=quiet, verbose=verbose),
            as_json=as_json,
        )
        raise typer.Exit(code)
    settings, options = executor.settings(), executor.options(max_failed=MAX_FAILED)
    code = run_and_print(
        lambda: job.add_phrases(
            place(onto), phrases, settings, options, quiet=quiet, verbose=verbose
        ),
        as_json=as_json,
    )
    raise typer.Exit(code)
