"""Commands about questions: from other datasets' files to rows that can be annotated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import AsJson, app, print_json

questions_app = typer.Typer(
    help="Questions with typed answers, ready to be annotated.", no_args_is_help=True
)
app.add_typer(questions_app, name="questions")


@questions_app.command("scenes")
def questions_scenes(
    out: Annotated[Path, typer.Argument(help="Folder of the new dataset.")],
    seed: Annotated[
        int, typer.Option(help="First seed; 900000 to 900999 are held out.", min=0)
    ] = 1_000_000,
    count: Annotated[int, typer.Option(help="How many scenes.", min=1)] = 100,
    views: Annotated[int, typer.Option(help="Sides each is seen from.", min=1)] = 1,
    family: Annotated[
        list[str] | None, typer.Option(help="Only this kind of question; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask about physics scenes; every answer is exact, and guessing blindly gives chance.

    Which way, how far, how fast, which is faster, does it hit, does it bounce, when. The dataset is
    in the annotator's own tables; nothing is rendered.

    \b
    massannot questions scenes asked --count 200
    massannot questions scenes held-out --seed 900256 --count 100 --family faster
    """
    from massannot.rft.scene_dataset import write_scene_questions

    seeds = range(seed, seed + count)
    found = write_scene_questions(out, seeds=seeds, views=views, names=family or ())
    if as_json:
        print_json(dict(sorted(found.items())))
    else:
        print("\n".join(f"{n:7d} {name}" for name, n in sorted(found.items())))
