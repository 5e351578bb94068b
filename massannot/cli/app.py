"""The typer application of all command files, and their printing functions."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

MAP = """Where is every named thing in a video, how does it move in 3D, and how sure is that?

\b
See it work:   massannot demo
One video:     massannot annotate ball.mp4 -p "a red ball" -o out
Many videos:   massannot annotate FOLDER -p hoop -o out   (again: continues)
Very many:     plan, run, status, explain, retry
Look:          view, inspect, report, render, validate
Sign:          review, then publish
Take along:    export, publish, sql, cite
Questions:     questions import, annotate; then rft show, export trl
With proof:    questions ask, audit, explain, check
Is it right:   scenes render, then evaluate; calibrate; compare two profiles
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


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_first(label: str, sentences: Sequence[str], *, rest: str = "") -> None:
    """Print the first of many sentences to stderr. `rest`: where all of them are."""
    for sentence in sentences[:SHOWN]:
        print(f"{label}: {sentence}", file=sys.stderr)
    if len(sentences) > SHOWN:
        print(f"{label}: {len(sentences) - SHOWN} more{rest}", file=sys.stderr)


SHOWN = 20
"""Lines of a list; a dataset may have millions."""


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
