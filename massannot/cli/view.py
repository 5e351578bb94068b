"""Commands that open a page of a dataset in the browser: view, review."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import app, print_json
from massannot.errors import UsageError

Port = Annotated[int, typer.Option(help="Port on this machine; 0: any free one.", min=0, max=65535)]
Questions = Annotated[
    Path | None, typer.Option(help="What `questions ask` wrote about it: shown with their proof.")
]
Browser = Annotated[bool, typer.Option("--open/--no-open", help="Open the browser.")]


@app.command()
def view(
    out: Annotated[Path, typer.Argument(help="Folder of a dataset, of a run or published.")],
    questions: Questions = None,
    port: Port = 0,
    open_browser: Browser = True,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Open the first clips in Rerun's own viewer instead.")
    ] = False,
) -> None:
    """Look at a dataset in the browser: any clip in picture, time and space; search, filter, sort.

    Answers this machine only; the address it prints is the key. Wants the extra `view`, and
    `--rerun` the extra `rerun`.

    \b
    massannot view out
    massannot view out --port 8123 --no-open
    massannot view out --rerun
    """
    if rerun:
        from massannot.jobs import view_rerun

        view_rerun.view(out)
        return
    from massannot.jobs import view as viewing

    viewing.view(out, asked=questions, port=port, open_browser=open_browser)


@app.command()
def review(
    out: Annotated[
        Path, typer.Argument(help="Output folder of a run, or what `questions ask` wrote.")
    ],
    sample: Annotated[int, typer.Option(help="Clips to look at.", min=1)] = 200,
    stratify: Annotated[
        str,
        typer.Option(help="Draw so many of each: phrase, quality, or both; '' draws from all."),
    ] = "phrase,quality",
    seed: Annotated[int, typer.Option(help="Which ones are drawn.")] = 0,
    reviewer: Annotated[
        str | None, typer.Option(help="Who decides; default: your name on this machine.")
    ] = None,
    port: Port = 0,
    open_browser: Browser = True,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Open no page: take what was changed in CVAT, a file a film."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --from: print JSON.")] = False,
) -> None:
    """Look at a sample and decide: accept, reject with a reason, note, put right.

    Each decision is on the disk before the page says so; `publish` takes them into the card. The
    same command goes on where it was left. Of what `questions ask` wrote, questions are decided.
    With `--from` the labels that were changed in CVAT are the decisions.

    \b
    massannot review out --sample 200 --stratify phrase,quality --seed 7
    massannot review asked --sample 50
    massannot review out --from cvat/annotations.xml --reviewer ada
    """
    if source is not None:
        from massannot.inputs.text import printable
        from massannot.jobs import review_files

        taken = review_files.review_files(out, source=source, reviewer=reviewer)
        if as_json:
            print_json([file.as_json for file in taken])
            return
        print(printable("\n".join(map(str, taken))))
        if any(file.changed for file in taken):
            print(f"next: massannot retry {out} --status corrected")
        return
    if as_json:
        raise UsageError("--json: expected --from FILE beside it; a page prints nothing")
    from massannot.jobs import review as reviewing

    by = [name.strip() for name in stratify.split(",") if name.strip()]
    reviewing.review(out, sample=sample, by=by, seed=seed, reviewer=reviewer, port=port,
                     open_browser=open_browser)  # fmt: skip
