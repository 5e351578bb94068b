"""The command line: picks a recipe and says where to read and write. The only file with typer.

Heavy imports happen inside the commands, so that --help answers at once. Results go to stdout,
progress and messages to stderr. Exit codes: 0 done; 1 a bug; 2 usage; 3 too many clips failed;
4 nothing could run; 75 interrupted, the same command continues; 130 second Ctrl-C.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from massannot.errors import MassannotError, NothingToRun, UsageError

MAP = """Where is every named thing in a video, how does it move in 3D, and how sure is that?

\b
See it work:   massannot demo
One video:     massannot annotate ball.mp4 -p "a red ball" -o out
Many videos:   massannot annotate FOLDER -p hoop -o out   (again: continues)
Look:          inspect, report, render, validate
Take along:    export
Is it right:   scenes render, then evaluate
This machine:  doctor, models list
"""

app = typer.Typer(
    help=MAP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
recipes_app = typer.Typer(help="Recipes: what a run does, step by step.", no_args_is_help=True)
scenes_app = typer.Typer(help="Rendered clips whose exact truth is known.", no_args_is_help=True)
app.add_typer(recipes_app, name="recipes")
models_app = typer.Typer(help="Profiles and their weights.", no_args_is_help=True)
app.add_typer(scenes_app, name="scenes")
app.add_typer(models_app, name="models")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def main() -> None:
    """Run the command; turn our own errors into one message and an exit code."""
    try:
        app(prog_name="massannot")
    except UsageError as error:
        sys.exit(_complain(error, 2))
    except NothingToRun as error:
        sys.exit(_complain(error, 4))
    except MassannotError as error:
        sys.exit(_complain(error, 1))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader, `head` for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        sys.exit(_complain(_misplaced(error), 2))
    except RuntimeError as error:
        if type(error).__name__ != "WorkerBroke":  # by name: --help must not import executors
            raise
        sys.exit(_complain(error, 1))


def _complain(error: Exception, code: int) -> int:
    print(f"massannot: {error}", file=sys.stderr)
    return code


def _misplaced(error: OSError) -> UsageError:
    """What the system refuses about a path of the user's, or about one below it."""
    path = Path(str(error.filename))
    file = next((p for p in (path, *path.parents) if p.is_file()), path)
    if isinstance(error, PermissionError):
        return UsageError(
            f"{path}: {error.strerror}; expected a place that may be read and written; choose "
            "another folder, or change who may use it"
        )
    return UsageError(f"{file}: found a file, expected a folder; choose another name")


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _version(wanted: bool) -> None:
    if wanted:
        from massannot.version import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def doctor(
    folder: Annotated[Path, typer.Option("-o", "--output", help="Where output would go.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Is this machine ready? Python, torch and the GPU, memory, disk, codecs, variables.

    \b
    massannot doctor -o /data/out
    massannot doctor --json > doctor.json
    """
    import dataclasses

    from massannot.doctor import examine

    findings = examine(folder)
    if as_json:
        _print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = {"ok": " ", "note": "-", "error": "!"}[finding.verdict]
            way_out = f"\n      {finding.way_out}" if finding.way_out else ""
            print(f"{mark} {finding.what:<24} {finding.found}{way_out}")
    if any(finding.verdict == "error" for finding in findings):
        raise typer.Exit(4)


@app.command()
def schemas(
    folder: Annotated[Path, typer.Argument(help="Where the JSON Schemas lie.")] = Path("schemas"),
    check: Annotated[bool, typer.Option("--check", help="Only say whether they differ.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the JSON Schemas of tables and exports, or check that a folder has the present ones."""
    from massannot.exporters import mass_bench
    from massannot.tables import json_schema

    more = {mass_bench.SCHEMA_FILE: mass_bench.schema_text()}
    if check:
        wrong = json_schema.drift(folder, more=more)
        if wrong:
            raise UsageError(f"{folder}: {'; '.join(wrong)}; run `massannot schemas {folder}`")
        n_schemas = len(json_schema.schema_files()) + len(more)
        if as_json:
            _print_json({"schemas": n_schemas, "different": []})
        else:
            print(f"{folder}: {n_schemas} schemas, all present")
        return
    changed = json_schema.write(folder, more=more)
    if as_json:
        _print_json([str(path) for path in changed])
    else:
        print("\n".join(map(str, changed)) or f"{folder}: nothing changed")


@recipes_app.command("list")
def recipes_list(as_json: AsJson = False) -> None:
    """Every recipe with its first sentence."""
    from massannot import recipe

    rows = {name: recipe.summary(name).split("\n")[0] for name in recipe.names()}
    if as_json:
        _print_json(rows)
    else:
        for name, sentence in rows.items():
            print(f"{name:<24} {sentence}")


@recipes_app.command("show")
def recipes_show(name: str, as_json: AsJson = False) -> None:
    """One recipe: its stages in order, with every option and its present value.

    \b
    massannot recipes show annotate
    """
    from massannot.recipe import Choice, summary

    described = Choice(recipe=name).build().describe()
    if as_json:
        _print_json(described)
        return
    print(summary(name), end="\n\n")
    for stage in described["stages"]:
        name = stage.pop("stage")
        models = [v["is"] for v in stage.values() if isinstance(v, dict)]
        print(name + (f"  ({', '.join(models)})" if models else ""))
        for option, value in _settable(stage):
            print(f"    --set {name}.{option}={value}")


def _settable(options: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """The names that --set takes, with their present values; models have options of their own."""
    for option, value in options.items():
        if isinstance(value, dict) and value.get("is") == "Weights":
            continue  # --weights JOB=WHERE says these
        if isinstance(value, dict):
            yield from _settable(value, f"{above}{option}.")
        elif option == "is":
            continue  # the model's name: --profile, files and oracles choose it
        else:
            yield above + option, value if isinstance(value, str) else json.dumps(value)


@app.command()
def annotate(
    videos: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, globs, @list.txt with a name a line, or a manifest: .csv .json "
            ".jsonl .parquet with columns video, question, entities and more."
        ),
    ],
    prompt: Annotated[
        list[str],
        typer.Option(
            "-p", "--prompt", "--text-prompt", help='What to look for; repeatable; also "a . b".'
        ),
    ] = [],  # noqa: B006  # typer copies it
    out: Annotated[
        Path, typer.Option("-o", "--output", help="The folder of the dataset; runs continue in it.")
    ] = Path("massannot-out"),
    profile: Annotated[
        str,
        typer.Option(
            help="Which models: embedded, small, mass, permissive-relative; none: files and "
            "oracles only; auto: small. See `massannot models list`."
        ),
    ] = "auto",
    fps: Annotated[
        str, typer.Option(help="Annotated frames a second, never above the source; or all.")
    ] = "10",
    clip_seconds: Annotated[
        float, typer.Option(help="Cut longer videos every so often.", min=0.01)
    ] = 20.0,
    long_side: Annotated[
        int, typer.Option(help="Models see pictures of at most this size.", min=16)
    ] = 1280,
    limit: Annotated[int | None, typer.Option(help="Only the first N videos.", min=1)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 ...")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, fp32, bf16, fp16.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Processes; default one a GPU, one on the CPU.", min=1)
    ] = None,
    hfov: Annotated[
        float | None,
        typer.Option(help="Horizontal field of view, degrees; else 60 is assumed.", min=1, max=179),
    ] = None,
    boxes: Annotated[str | None, typer.Option(help="Boxes from a file: COCO JSON.")] = None,
    masks: Annotated[
        str | None, typer.Option(help="Masks from a file: COCO or YouTube-VIS JSON.")
    ] = None,
    depth: Annotated[str | None, typer.Option(help="Depth from an npz or a folder.")] = None,
    tracks: Annotated[str | None, typer.Option(help="Point tracks from an npz.")] = None,
    cameras: Annotated[str | None, typer.Option(help="Intrinsics and poses from a file.")] = None,
    scenes: Annotated[
        str | None, typer.Option(help="Folder of rendered scenes, for --oracle.")
    ] = None,
    oracle: Annotated[
        str | None,
        typer.Option(help="Answered by the scene's truth: detect,masks,depth,tracks,cameras."),
    ] = None,
    box_threshold: Annotated[
        float | None,
        typer.Option(help="Least score of a box (the profile's own default).", min=0, max=1),
    ] = None,
    text_threshold: Annotated[
        float | None, typer.Option(help="Least score of a phrase's words.", min=0, max=1)
    ] = None,
    options: Annotated[
        list[str], typer.Option("--set", help="STAGE.OPTION=VALUE; see `recipes show annotate`.")
    ] = [],  # noqa: B006
    weights: Annotated[
        list[str], typer.Option(help="JOB=HUB_ID or JOB=FOLDER: other weights for one job.")
    ] = [],  # noqa: B006
    depth_maps: Annotated[bool, typer.Option(help="Store depth, as the film shows it.")] = True,
    films: Annotated[bool, typer.Option(help="Render a film per clip and the report.")] = True,
    max_failed: Annotated[
        float,
        typer.Option(help="Share of failed clips above which the exit code is 3.", min=0, max=1),
    ] = 0.0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="More on stderr.")] = False,
    as_json: AsJson = False,
) -> None:
    """Annotate videos: boxes, masks, tracks, 3D motion; a film per clip and a report.

    The same command continues an interrupted run and does nothing twice.

    \b
    massannot annotate ball.mp4 -p "a red ball" -p "a blue box" -o out
    massannot annotate videos/ -p "a ball . a hoop" -o out --profile mass --fps 5
    massannot annotate ball.mp4 -p ball -o out --profile none \\
        --boxes boxes.json --masks masks.json --depth depth.npz
    massannot annotate scenes/videos -p "a red ball" -o out --profile none \\
        --scenes scenes --oracle detect,masks,depth,cameras
    """
    from massannot import job
    from massannot.io.video import Sampling
    from massannot.recipe import Choice

    choice = Choice(
        profile=profile,
        scenes=scenes,
        oracles=tuple(filter(None, (oracle or "").split(","))),
        boxes=boxes,
        masks=masks,
        depth=depth,
        tracks=tracks,
        cameras=cameras,
        hfov_deg=hfov,
        depth_maps=depth_maps,
        dtype=dtype,
        weights=tuple(_pair(text, "--weights JOB=WHERE") for text in weights),
        options=tuple(_option(text) for text in options),
        box_threshold=box_threshold,
        text_threshold=text_threshold,
    )
    sampling = Sampling(
        fps=None if fps == "all" else _rate(fps),
        clip_s=clip_seconds,
        long_side=long_side,
    )
    wanted = job.Job(
        videos=tuple(videos),
        prompts=tuple(prompt),
        out=out,
        choice=choice,
        sampling=sampling,
        device=device,
        workers=workers,
        limit=limit,
        films=films,
        max_failed=max_failed,
    )
    raise typer.Exit(job.run(wanted, quiet=quiet, verbose=verbose, as_json=as_json))


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 < rate < float("inf"):
        raise UsageError(f"--fps {text}: expected frames a second above 0, or all")
    return rate


def _pair(text: str, form: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not (left and equals and right):
        raise UsageError(f"{text!r}: expected {form}")
    return left, right


def _option(text: str) -> tuple[str, str, str]:
    name, value = _pair(text, "--set STAGE.OPTION=VALUE")
    stage, dot, option = name.partition(".")  # the option may have dots of its own
    if not (stage and dot and option):
        raise UsageError(f"--set {text}: expected STAGE.OPTION=VALUE")
    return stage, option, value


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
        str | None, typer.Option(help="How the camera moves; else the seed's.")
    ] = None,
    scenario: Annotated[str | None, typer.Option(help="What happens; else the seed's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Render physics clips with exact depth, masks, tracks, cameras and events.

    Metric scale can be seen: floor tiles are 0.5 m. The same seed gives the same bytes.

    \b
    massannot scenes render scenes --seed 7 --count 2
    massannot scenes render scenes --scenario falling --camera static
    """
    from massannot.scenes.world import SceneOptions
    from massannot.scenes.write import write_scenes

    size: dict[str, Any] = {"width": width, "height": height, "n_frames": frames, "fps": fps}
    try:
        options = SceneOptions(**size, camera=camera, scenario=scenario)  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(str(error)) from error
    records = write_scenes(
        out,
        seeds=range(seed, seed + count),
        options=options,
        progress=lambda record: print(record.description, file=sys.stderr),
    )
    if as_json:
        _print_json([{"video": str(out / r.video), "seed": r.seed} for r in records])
    else:
        print("\n".join(str(out / record.video) for record in records))


@app.command()
def inspect(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    clip: Annotated[str | None, typer.Option(help="One clip by its id (or its beginning).")] = None,
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
        shown = inspecting.clip_json(view) if as_json else inspecting.clip_text(view)
    else:
        shown = inspecting.dataset_json(dataset) if as_json else inspecting.dataset_text(dataset)
    if isinstance(shown, str):
        print(shown)
    else:
        _print_json(shown)


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
        _print_json({"tables": list(dataset.names), "problems": wrong})
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
        _print_json([str(film) for film in films])
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
    as_json: AsJson = False,
) -> None:
    """Write a page to look at: worst clips first, one page per clip, failures by class.

    \b
    massannot report out -n 200
    """
    from massannot import api
    from massannot.io.dataset import open_dataset

    index = api.report_of(open_dataset(out), sample=sample, seed=seed)
    if as_json:
        _print_json({"report": str(index)})
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
            _print_json(summaries)
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
        _print_json({"files": files, "left_out": list(written.left_out)})
    else:
        print("\n".join(map(str, written.files)))


@app.command()
def evaluate(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    truth: Annotated[Path, typer.Option(help="Folder written by `massannot scenes render`.")],
    limit: Annotated[int | None, typer.Option(help="Only the first N clips.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Score a dataset against the exact truth: every number with its interval and a baseline.

    \b
    massannot evaluate out --truth scenes --json > scores.json
    """
    from massannot.evaluate import dataset as scores
    from massannot.io.dataset import open_dataset
    from massannot.scenes.record import SceneLibrary

    rows = scores.evaluate(open_dataset(out), SceneLibrary(truth), seed=seed, limit=limit)
    if as_json:
        _print_json(scores.as_json(rows))
    else:
        print(scores.as_text(rows))


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


@models_app.command("list")
def models_list(as_json: AsJson = False) -> None:
    """Every profile: which weights do which job, their licence, size and memory."""
    from massannot.models.profiles import PROFILES

    if as_json:
        _print_json([_profile_json(profile) for profile in PROFILES])
        return
    for profile in PROFILES:
        print(f"{profile.name}: {profile.summary}")
        if profile.note:
            print(f"  NOTE: {profile.note}")
        for model in profile.models:
            source = "no weights" if model.weights is None else str(model.weights)
            size = f"{model.n_bytes / 2**20:.0f} MiB" if model.n_bytes else ""
            memory = f"{model.memory_gb:.1f} GB memory" if model.memory_gb else ""
            license = model.license or ("no licence tag" if model.weights else "")
            shown = ", ".join(filter(None, (license, size, memory)))
            print(f"  {model.job:<8}{source}" + (f"  ({shown})" if shown else ""))


@models_app.command("check")
def models_check(profile: str, as_json: AsJson = False) -> None:
    """Are a profile's weights on this machine? Exit code 4 when some are missing."""
    from massannot.models.profiles import named
    from massannot.models.weights import require

    found = require(named(profile).weights, download=False)
    rows = [{"weights": str(w.wanted), "path": str(w.folder)} for w in found]
    if as_json:
        _print_json(rows)
    else:
        print("\n".join(f"{row['weights']}  {row['path']}" for row in rows) or "needs no weights")


@models_app.command("download")
def models_download(profile: str, as_json: AsJson = False) -> None:
    """Bring a profile's weights into the Hugging Face cache (HF_HOME), with progress.

    \b
    massannot models download small
    """
    from massannot.models.profiles import named
    from massannot.models.weights import require

    folders = [str(local.folder) for local in require(named(profile).weights)]
    if as_json:
        _print_json(folders)
    else:
        print("\n".join(folders) or "needs no weights")


@models_app.command("init-random", hidden=True)
def models_init_random(profile: str, cache: Path, seed: int = 0) -> None:
    """Write full-size models with random weights into a hub cache: for tests without a network."""
    from massannot.models.profiles import named
    from massannot.models.random_weights import write_profile

    write_profile(named(profile), cache, seed=seed)


def _profile_json(profile: Any) -> dict[str, Any]:
    return {
        "name": profile.name,
        "summary": profile.summary,
        "note": profile.note,
        "models": [
            {
                "job": model.job,
                "weights": None if model.weights is None else str(model.weights),
                "license": model.license,
                "n_bytes": model.n_bytes,
                "memory_gb": model.memory_gb,
            }
            for model in profile.models
        ],
    }
