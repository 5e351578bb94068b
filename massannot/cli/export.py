"""The command that writes a dataset in another format: for readers, and for trainers."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from massannot.cli.app import AsJson, app, print_first, print_json
from massannot.errors import UsageError

TRAINING = "trl, verl, ms-swift, video-r1"


@app.command()
def export(
    target: Annotated[
        list[str],
        typer.Argument(help="FORMAT OUT DEST: what, of which dataset, into which folder."),
    ] = [],  # noqa: B006
    list_formats: Annotated[bool, typer.Option("--list", help="Every format.")] = False,
    min_quality: Annotated[
        float | None,
        typer.Option(help="Leave out entities of lower or unknown quality, 0..1.", min=0, max=1),
    ] = None,
    profile_template: Annotated[
        str | None,
        typer.Option(help="mass-v1, mass-v2, for trainers none; mass-bench has both without it."),
    ] = None,
    model_family: Annotated[
        str | None,
        typer.Option(help="Trainers: qwen2_5_vl or qwen3_vl, for sizes of pictures and boxes."),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="Trainers: at most so many a question; 0: none. Else 16.")
    ] = None,
    max_pixels: Annotated[int | None, typer.Option(help="Trainers: of a picture.")] = None,
    media: Annotated[str | None, typer.Option(help="Trainers: images or video.")] = None,
    split_by: Annotated[
        str | None,
        typer.Option(
            help="Trainers: video_id (--val), or the manifest's split. Its test is apart."
        ),
    ] = None,
    val: Annotated[float | None, typer.Option(help="Trainers: share of videos held out.")] = None,
    processor: Annotated[
        Path | None, typer.Option(help="Trainers: the model's folder; its tokenizer counts.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Trainers: drop pieces of the profile to stay within.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a dataset in another format: for a reader, or for a trainer.

    \b
    massannot export coco out coco-out
    massannot export verl out data --model-family qwen3_vl --media video --val 0.05
    massannot export --list
    """
    from massannot import exporters
    from massannot.dataset.reading import open_dataset

    if list_formats:
        summaries = {name: exporters.summary(name) for name in exporters.names()}
        if as_json:
            print_json(summaries)
        else:
            print("\n".join(summaries.values()))
        return
    if len(target) != 3:
        found = " ".join(target) or "nothing"
        raise UsageError(f"export: found {found}, expected FORMAT OUT DEST, or --list")
    name, out, folder = target
    exporter = exporters.exporter(name)
    asked = {
        "profile_template": profile_template,
        "model_family": model_family,
        "frames": frames,
        "max_pixels": max_pixels,
        "media": media,
        "split_by": split_by,
        "val": val,
        "processor": processor,
        "max_tokens": max_tokens,
    }
    more = _more(name, exporter, {key: v for key, v in asked.items() if v is not None})
    written = exporter.export(open_dataset(out), Path(folder), min_quality=min_quality, **more)
    print_first("left out", written.left_out)
    for sentence in written.notes:
        print(f"note: {sentence}", file=sys.stderr)
    if as_json:
        files = [str(path) for path in written.files]
        notes = {"left_out": list(written.left_out), "notes": list(written.notes)}
        print_json({"files": files, **notes})
    else:
        print("\n".join(map(str, written.files)))


def _more(name: str, exporter: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """What this format's export() takes of the options. Raises UsageError for the others."""
    takes = inspect.signature(exporter.export).parameters
    if "training" in takes:
        from massannot.questions.examples import TrainingData

        return {"training": TrainingData(**asked)}
    wrong = [option for option in asked if option not in takes]
    if wrong:
        options = ", ".join(f"--{option.replace('_', '-')}" for option in wrong)
        raise UsageError(f"{options} with {name}: expected one of {TRAINING}")
    if asked.get("profile_template") not in (None, "mass-v1", "mass-v2"):
        found = asked["profile_template"]
        raise UsageError(f"--profile-template {found} with {name}: expected mass-v1 or mass-v2")
    return asked
