"""`massannot run` and `retry`: do what was planned, and again what failed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from massannot.cli.app import AsJson, app
from massannot.cli.options import KeepDepth, Reuse, WorkDir, takes

if TYPE_CHECKING:
    from massannot.jobs.run import Place


@dataclass(frozen=True)
class PlaceOptions:
    """Where the work is done, how long a clip may take, and what counts as failed."""

    work_dir: WorkDir = None
    executor: Annotated[
        Literal["local", "ray"], typer.Option(help="This machine, or a Ray cluster.")
    ] = "local"
    actors: Annotated[
        int | None,
        typer.Option("--actors", "--workers", help="Workers; default one a GPU.", min=1),
    ] = None
    actors_per_gpu: Annotated[
        int | None, typer.Option(help="ray: workers that share a GPU.", min=1)
    ] = None
    address: Annotated[
        str | None, typer.Option(help="ray: the cluster to join; also RAY_ADDRESS.")
    ] = None
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 ...")] = "auto"
    max_failed: Annotated[
        float,
        typer.Option(
            help="Share of failed clips, or of a manifest's rows that cannot be asked, above "
            "which the exit code is 3.",
            min=0,
            max=1,
        ),
    ] = 0.02
    hung_after: Annotated[
        float,
        typer.Option(
            help="Seconds a clip may always take; beyond, and 10 times its usual time, it is "
            "stopped and has failed.",
            min=1,
        ),
    ] = 120.0
    first_clip: Annotated[
        float | None,
        typer.Option(
            help="Seconds a clip may take while none is finished, so that nothing is usual; "
            "default 600, on a CPU more for models that are slow there.",
            min=1,
        ),
    ] = None
    grace: Annotated[
        float, typer.Option(help="Seconds that the clip in hand has after a signal.", min=0)
    ] = 30.0
    reuse: Reuse = None
    keep_depth: KeepDepth = False

    def place(self) -> Place:
        from massannot.jobs.run import Place

        return Place(
            self.executor,
            self.device,
            self.actors,
            self.actors_per_gpu,
            self.address,
            self.max_failed,
            self.hung_after,
            self.first_clip,
            self.grace,
            self.reuse,
            self.keep_depth,
        )


Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="More on stderr.")]


@app.command()
@takes(where=PlaceOptions)
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
    where: PlaceOptions,
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
    """
    from massannot.jobs import annotate as job
    from massannot.jobs import run as running
    from massannot.storage.path import place

    share, into = running.share_of(shard), place(out)
    done = job.told(
        lambda: running.run(plan, into, where.place(), share=share, quiet=quiet, verbose=verbose),
        as_json=as_json,
    )
    raise typer.Exit(done)


@app.command()
@takes(where=PlaceOptions)
def retry(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    where: PlaceOptions,
    status: Annotated[
        str, typer.Option(help="Which clips: failed, quarantined, or both with a comma.")
    ] = "failed",
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Try again the clips that ended so, and no others; also goes on with what was left to do.

    A shard's rows leave the dataset while its clips are tried again.

    \b
    massannot retry out --status failed,quarantined
    """
    from massannot.jobs import annotate as job
    from massannot.jobs import run as running
    from massannot.storage.path import place

    statuses = tuple(part.strip() for part in status.split(",") if part.strip())
    done = job.told(
        lambda: running.retry(place(out), statuses, where.place(), quiet=quiet, verbose=verbose),
        as_json=as_json,
    )
    raise typer.Exit(done)
