"""Commands about rendered scenes, whose exact truth is known: scenes render, evaluate, demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from massannot.cli.app import AsJson, app, print_json, scenes_app
from massannot.cli.single_flags import Quiet
from massannot.errors import UsageError
from massannot.jobs.heartbeat import never_silent


@scenes_app.command("render")
def scenes_render(
    out: Annotated[Path, typer.Argument(help="Folder: videos/, scenes/ and the truth in data/.")],
    seed: Annotated[int, typer.Option(help="First seed; each clip has its own.", min=0)] = 0,
    count: Annotated[int, typer.Option(help="How many clips.", min=1)] = 1,
    width: Annotated[int, typer.Option(help="Pixels, even.", min=16)] = 160,
    height: Annotated[int, typer.Option(help="Pixels, even.", min=16)] = 128,
    frames: Annotated[int, typer.Option(help="Frames a clip.", min=1, max=256)] = 48,
    fps: Annotated[int, typer.Option(help="Frames a second.", min=1)] = 24,
    camera: Annotated[
        str | None, typer.Option(help="static, dolly, orbit, pan or handheld; else the seed's.")
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            help="rolling, sliding, falling, bouncing, colliding, occluding, leaving or mixed; "
            "else the seed's."
        ),
    ] = None,
    violate: Annotated[
        str | None,
        typer.Option(
            help="Break a law of physics: gravity, vanish, teleport, penetrate or reverse."
        ),
    ] = None,
    fronts: Annotated[
        int, typer.Option(help="Bodies with a front: arrow blocks and toy cars.", min=0, max=6)
    ] = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Render physics clips with exact depth, masks, tracks, cameras and events.

    Metric scale can be seen: floor tiles are 0.5 m. The same seed gives the same bytes. With
    --violate the pictures are the same until something impossible happens; the truth's events say
    what, when and to which thing.

    \b
    massannot scenes render scenes --seed 7 --count 2
    massannot scenes render scenes --seed 7 --count 2 --violate gravity
    massannot scenes render scenes --fronts 2
    massannot scenes render scenes --scenario falling --camera static
    """
    from massannot.scenes.world import SceneOptions
    from massannot.scenes.write import write_scenes

    size: dict[str, Any] = {"width": width, "height": height, "n_frames": frames, "fps": fps}
    try:
        options = SceneOptions(
            **size,
            camera=camera,  # type: ignore[arg-type]
            scenario=scenario,  # type: ignore[arg-type]
            violate=violate,  # type: ignore[arg-type]
            n_fronts=fronts,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    records = write_scenes(
        out,
        seeds=range(seed, seed + count),
        options=options,
        progress=lambda record: None if quiet else print(record.description, file=sys.stderr),
    )
    if as_json:
        print_json([{"video": str(out / r.video), "seed": r.seed} for r in records])
    else:
        print("\n".join(str(out / record.video) for record in records))


@app.command()
@never_silent
def evaluate(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    truth: Annotated[Path, typer.Option(help="Folder written by `massannot scenes render`.")],
    limit: Annotated[int | None, typer.Option(help="Only the first N clips.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.", min=0)] = 0,
    picture: Annotated[
        Path | None, typer.Option(help="Draw stated against observed shares into this .svg.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a dataset against the exact truth: every number with its interval and a baseline.

    How often stated intervals hold the truth stands below the scores; by subgroup in --json.

    \b
    massannot evaluate out --truth scenes --json > scores.json
    massannot evaluate out --truth scenes --picture reliability.svg
    """
    from massannot.dataset.reading import open_dataset
    from massannot.evaluate import dataset_scores, reliability_picture
    from massannot.scenes.scene_record import SceneLibrary

    if picture is not None and picture.suffix != ".svg":
        raise UsageError(f"--picture {picture}: expected a name that ends in .svg")
    library = SceneLibrary(truth)
    done = dataset_scores.evaluate(open_dataset(out), library, seed=seed, limit=limit)
    if picture is not None:
        reliability_picture.write(picture, done)
        print(f"wrote {picture}", file=sys.stderr)
    if as_json:
        print_json(dataset_scores.as_json(done))
    else:
        print(dataset_scores.as_text(done))


@app.command()
@never_silent
def compare(
    first: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    second: Annotated[Path, typer.Argument(help="Of another one, of the same videos.")],
    shown: Annotated[int, typer.Option(help="Clips in the table, worst first.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """Where two profiles disagree on the same videos, worst clips first: no truth is needed.

    Entities of a phrase are paired by their masks; tracks, depth and motions are compared on pairs.
    Give both runs equal --fps. What both get wrong alike is not seen. --json has every clip.

    \b
    massannot annotate videos/ -p ball -o a --profile small
    massannot annotate videos/ -p ball -o b --profile mass
    massannot compare a b
    """
    from massannot.dataset.reading import open_dataset
    from massannot.evaluate import disagreement

    clips = disagreement.disagreements(open_dataset(first), open_dataset(second))
    if as_json:
        print_json(disagreement.as_json(clips))
    else:
        print(disagreement.as_text(clips, shown=shown))


@app.command()
def calibrate(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset whose videos have a truth.")],
    truth: Annotated[
        Path,
        typer.Option(
            help="The truth: a folder of `massannot scenes render`, TAPVid-3D's npz files, or a "
            "dataset with true positions."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The calibration: a .json file.")],
    name: Annotated[str | None, typer.Option(help="Its name; else the file's.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N clips.", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """Learn from clips whose truth you have how large errors are: intervals then hold it as often
    as they say.

    Hundreds of clips like those that you will annotate, with the same models and options. Use it
    with `annotate --calibration FILE`, or for a finished dataset with `publish --calibration FILE`.

    \b
    massannot calibrate out --truth scenes -o mine.json
    massannot annotate more/ -p ball -o more-out --calibration mine.json
    massannot publish out dataset --calibration mine.json
    """
    from massannot.jobs.certainty import calibration_of
    from massannot.storage.durable import write_over

    if output.suffix != ".json":
        raise UsageError(f"-o {output}: expected a name that ends in .json")
    made = calibration_of(
        out,
        truth,
        name=name or output.stem,
        limit=limit,
        progress=lambda uri: print(uri, file=sys.stderr),
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    write_over(output, made.calibration.to_json().encode())
    if as_json:
        print_json(
            {
                "calibration": str(output),
                "n_clips": made.calibration.n_clips,
                "crossed": made.crossed,
            }
        )
    else:
        print(f"{made.as_text()}\n\nwrote {output}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option("-o", "--output", help="Where everything goes.")] = Path(
        "demo-out"
    ),
    seed: Annotated[int | None, typer.Option(help="Another scene.")] = None,
    truth: Annotated[
        bool, typer.Option("--truth", help="Let the scene answer instead of the shipped models.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Render a physics clip, annotate it, draw it, and compare with the exact truth. No network.

    \b
    massannot demo
    massannot demo --truth -o demo-out
    """
    from massannot import demo as demonstration

    number = demonstration.SEED if seed is None else seed
    raise typer.Exit(demonstration.run(out, seed=number, truth=truth, as_json=as_json))
