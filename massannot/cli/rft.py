"""Commands of the trainer: prompts to look at, training, evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from massannot.cli.app import AsJson, app, print_json

rft_app = typer.Typer(
    help="Train a vision-language model on annotated questions.", no_args_is_help=True
)
app.add_typer(rft_app, name="rft")


@rft_app.command()
def show(
    out: Annotated[Path, typer.Argument(help="Folder of an annotated dataset.")],
    question_id: Annotated[str, typer.Argument(help="A question of it.")],
    template: Annotated[
        str, typer.Option(help="Of the motion profile: mass-v1, mass-v2 or none.")
    ] = "mass-v2",
    frames: Annotated[int, typer.Option(help="At most so many; 0: a blind prompt.")] = 16,
    model_family: Annotated[
        str, typer.Option(help="qwen2_5_vl or qwen3_vl: what a picture costs.")
    ] = "qwen2_5_vl",
    max_pixels: Annotated[int | None, typer.Option(help="Of a picture.")] = None,
    processor: Annotated[
        Path | None, typer.Option(help="Folder of the model whose tokenizer counts.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Drop pieces of the profile to stay within.")
    ] = None,
    min_quality: Annotated[
        float | None, typer.Option(help="Leave out motions of lower or unknown quality, 0..1.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The prompt of one question, and what its token budget dropped.

    \b
    massannot rft show out q1
    massannot rft show out q1 --template mass-v1 --frames 8
    """
    from massannot.errors import BadQuestion, UsageError
    from massannot.io.dataset import open_dataset
    from massannot.rft import showing
    from massannot.rft.examples import TrainingData

    asked: dict[str, Any] = {"profile_template": template, "frames": frames}
    options = TrainingData(
        **asked,
        model_family=model_family,
        max_pixels=max_pixels,
        processor=processor,
        max_tokens=max_tokens,
    )
    try:
        found = showing.prompt_of(open_dataset(out), question_id, options, min_quality=min_quality)
    except BadQuestion as error:
        raise UsageError(str(error)) from error
    if as_json:
        print_json(showing.as_json(*found))
    else:
        print(showing.as_text(*found))
