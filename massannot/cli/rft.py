"""Commands of the trainer: prompts to look at, training, evaluation."""

from __future__ import annotations

import typer

from massannot.cli.app import app

rft_app = typer.Typer(
    help="Train a vision-language model on annotated questions.", no_args_is_help=True
)
app.add_typer(rft_app, name="rft")
