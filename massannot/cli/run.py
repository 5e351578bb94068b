"""`massannot run`: do what was planned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from massannot.cli.app import AsJson, app


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(help="Folder of a plan, see `massannot plan`.")],
    out: Annotated[
        Path, typer.Option("-o", "--output", help="The folder of the dataset; runs continue in it.")
    ],
    executor: Annotated[
        Literal["local", "ray"], typer.Option(help="This machine, or a Ray cluster.")
    ] = "local",
    actors: Annotated[
        int | None,
        typer.Option("--actors", "--workers", help="Workers; default one a GPU.", min=1),
    ] = None,
    actors_per_gpu: Annotated[
        int | None, typer.Option(help="ray: workers that share a GPU.", min=1)
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="ray: the cluster to join; also RAY_ADDRESS.")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="I/N: one of N equal shares, 0-based; default: Slurm's array task."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 ...")] = "auto",
    max_failed: Annotated[
        float,
        typer.Option(help="Share of failed clips above which the exit code is 3.", min=0, max=1),
    ] = 0.02,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="More on stderr.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a plan. The same command continues, whatever was killed; nothing is done twice.

    \b
    massannot run plan -o out
    massannot run plan -o out --shard 3/64
    massannot run plan -o out --executor ray --actors-per-gpu 2
    """
    from massannot import job, running

    errand = running.Errand(
        plan=plan,
        out=out,
        executor=executor,
        device=device,
        workers=actors,
        actors_per_gpu=actors_per_gpu,
        address=address,
        share=running.share_of(shard),
        max_failed=max_failed,
    )
    done = job.told(lambda: running.do(errand, quiet=quiet, verbose=verbose), as_json=as_json)
    raise typer.Exit(done)
