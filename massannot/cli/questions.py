"""Commands about questions: from other datasets' files to rows that can be annotated."""

from __future__ import annotations

import typer

from massannot.cli.app import app

questions_app = typer.Typer(
    help="Questions with typed answers, ready to be annotated.", no_args_is_help=True
)
app.add_typer(questions_app, name="questions")
