"""`massannot run` and `retry`: do what was planned, and again what failed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from massannot.cli.app import AsJson, app
from massannot.cli.folder_options import WorkDir
from massannot.cli.recipe_options import KeepDepth, Reuse

Executor = Annotated[Literal["local", "ray"], typer.Option(help="This machine, or a Ray cluster.")]
Actors = Annotated[
    int | None, typer.Option("--actors", "--workers", help="Workers; default one a GPU.", min=1)
]
ActorsPerGpu = Annotated[int | None, typer.Option(help="ray: workers that share a GPU.", min=1)]
Address = Annotated[str | None, typer.Option(help="ray: the cluster to join; also RAY_ADDRESS.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda:0 ...")]
MaxFailed = Annotated[
    float, typer.Option(help="Share of failed clips above which the exit code is 3.", min=0, max=1)
]
HungAfter = Annotated[
    float,
    typer.Option(
        help="Seconds a clip may always take; beyond, and 10 times its usual time, it is stopped "
        "and has failed. (The first clip of a run has an hour.)",
        min=1,
    ),
]
Grace = Annotated[
    float, typer.Option(help="Seconds that the clip in hand has after a signal.", min=0)
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="More on stderr.")]


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(help="Folder of a plan, see `massannot plan`.")],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="The folder of the dataset, here or at s3:// or gs://; runs continue in it.",
        ),
    ],
    work_dir: WorkDir = None,
    executor: Executor = "local",
    actors: Actors = None,
    actors_per_gpu: ActorsPerGpu = None,
    address: Address = None,
    shard: Annotated[
        str | None,
        typer.Option(help="I/N: one of N equal shares, 0-based; default: Slurm's array task."),
    ] = None,
    device: Device = "auto",
    max_failed: MaxFailed = 0.02,
    hung_after: HungAfter = 120.0,
    grace: Grace = 30.0,
    reuse: Reuse = None,
    keep_depth: KeepDepth = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Run a plan. The same command continues, whatever was killed; nothing is done twice.

    \b
    massannot run plan -o out
    massannot run plan -o out --shard 3/64
    massannot run plan -o out --executor ray --actors-per-gpu 2
    """
    from massannot import job, running
    from massannot.executors.watchdog import Patience
    from massannot.io.bucket_path import place as placed

    share = running.share_of(shard)
    patience = Patience(hung_after_s=hung_after, grace_s=grace)
    place = running.Place(
        executor, device, actors, actors_per_gpu, address, max_failed, patience, reuse, keep_depth
    )
    done = job.told(
        lambda: running.run(plan, placed(out), place, share=share, quiet=quiet, verbose=verbose),
        as_json=as_json,
    )
    raise typer.Exit(done)


@app.command()
def retry(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    work_dir: WorkDir = None,
    status: Annotated[
        str, typer.Option(help="Which clips: failed, quarantined, or both with a comma.")
    ] = "failed",
    executor: Executor = "local",
    actors: Actors = None,
    actors_per_gpu: ActorsPerGpu = None,
    address: Address = None,
    device: Device = "auto",
    max_failed: MaxFailed = 0.02,
    hung_after: HungAfter = 120.0,
    grace: Grace = 30.0,
    reuse: Reuse = None,
    keep_depth: KeepDepth = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Try again the clips that ended so, and no others; also goes on with what was left to do.

    A shard's rows leave the dataset while its clips are tried again.

    \b
    massannot retry out --status failed,quarantined
    """
    from massannot import job, running
    from massannot.executors.watchdog import Patience
    from massannot.io.bucket_path import place as placed

    statuses = tuple(part.strip() for part in status.split(",") if part.strip())
    patience = Patience(hung_after_s=hung_after, grace_s=grace)
    place = running.Place(
        executor, device, actors, actors_per_gpu, address, max_failed, patience, reuse, keep_depth
    )
    done = job.told(
        lambda: running.retry(placed(out), statuses, place, quiet=quiet, verbose=verbose),
        as_json=as_json,
    )
    raise typer.Exit(done)
