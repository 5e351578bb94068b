"""Commands about questions with proof: ask, audit, check, publish, explain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import AsJson, print_first, print_json
from massannot.cli.questions import questions_app
from massannot.cli.single_flags import AcceptedOnly, MinAcceptance
from massannot.counts import counted
from massannot.jobs.heartbeat import never_silent


@questions_app.command("ask")
@never_silent
def questions_ask(
    out: Annotated[Path, typer.Argument(help="An annotated dataset.")],
    dest: Annotated[Path, typer.Argument(help="Folder of the new dataset of questions.")],
    family: Annotated[
        list[str] | None,
        typer.Option(help="A family, a file of yours, or either with :NAME; repeatable."),
    ] = None,
    per_clip: Annotated[
        int, typer.Option("--per-clip", help="Questions of one family about one clip.", min=1)
    ] = 4,
    min_margin: Annotated[
        float, typer.Option("--min-margin", help="Standard deviations to the next answer.", min=0)
    ] = 2.0,
    reference: Annotated[
        str,
        typer.Option(help="world or camera: whose motion counts; auto: the world where known."),
    ] = "auto",
    mark: Annotated[
        str, typer.Option(help="phrases: things by name; boxes: by the colour of a box.")
    ] = "phrases",
    twins: Annotated[
        bool,
        typer.Option(
            "--twins", help="Also ask about the video mirrored and backwards, and in other words."
        ),
    ] = False,
    options: Annotated[
        bool,
        typer.Option(
            "--options",
            help="Numbers, hours and times as a choice among what counterfactual tracks give.",
        ),
    ] = False,
    even: Annotated[
        bool, typer.Option("--even/--uneven", help="No answer more often than another.")
    ] = True,
    writer: Annotated[
        str | None,
        typer.Option(help="MODULE:FUNCTION of yours that writes questions with programs."),
    ] = None,
    orientations: Annotated[
        Path | None,
        typer.Option(help="File of angles: clip_id, entity, frame, azimuth_deg, sd_deg."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which of many are asked.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Ask about an annotated dataset: every answer is a program over its rows, kept with its proof.

    \b
    massannot questions ask out asked
    massannot questions ask out asked --family travelled_distance --family ./mine.py
    massannot questions audit asked
    """
    from massannot.errors import UsageError
    from massannot.questions.ask.ask_dataset import Asking, ask

    if reference not in ("auto", "world", "camera"):
        raise UsageError(f"--reference {reference}: expected auto, world or camera")
    if mark not in ("phrases", "boxes"):
        raise UsageError(f"--mark {mark}: expected phrases or boxes")
    counts = ask(
        out,
        dest,
        Asking(
            families=tuple(family or ()),
            per_clip=per_clip,
            min_margin=min_margin,
            reference=reference,  # type: ignore[arg-type]
            mark=mark,  # type: ignore[arg-type]
            twins=twins,
            options=options,
            even=even,
            writer=writer,
            orientations=None if orientations is None else str(orientations),
            seed=seed,
        ),
    )
    if as_json:
        print_json(counts)
        return
    for name, n in counts.items():
        of_writer = f", {n['written']} written" if "written" in n else ""
        print(f"{n['asked']:7d} of {n['askable']:7d} certain  {name}{of_writer}")


@questions_app.command("audit")
@never_silent
def questions_audit(
    dest: Annotated[Path, typer.Argument(help="What `questions ask` wrote.")],
    data: Annotated[
        Path | None, typer.Option(help="The dataset asked about, where it has moved.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute every answer again from the rows that it cites; exit 3 where one differs.

    \b
    massannot questions audit asked
    massannot questions audit asked --data out --json
    """
    from massannot.questions.ask.audit_answers import audit

    found = audit(dest, data=data)
    if as_json:
        print_json(
            {
                "questions": found.questions,
                "wrong": found.n_wrong,
                "findings": [vars(finding) for finding in found.findings],
            }
        )
    else:
        print_first("wrong", [f"{f.question_id}: {f.message}" for f in found.findings])
        print(f"{counted(found.questions, 'question')}, {found.n_wrong} wrong")
    if found.findings:
        raise typer.Exit(3)


@questions_app.command("check")
@never_silent
def questions_check(
    manifest: Annotated[
        Path,
        typer.Argument(
            help="JSONL, JSON or Parquet, or what `questions ask`, `scenes` or `publish` wrote."
        ),
    ],
    bound: Annotated[
        float, typer.Option(help="How far above chance a blind solver may reach.", min=0)
    ] = 0.05,
    scores: Annotated[
        Path | None,
        typer.Option(help="File for the rows with a column blind_score, .jsonl or .parquet."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split of videos.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Say what can be answered without the video; exit 3 where a family lies above the bound.

    Solvers see the most frequent answer, the words of the question, the options, or their length;
    each is judged on videos that it was not fitted on. `family`, else `category`, is the family.

    \b
    massannot questions check asked
    massannot questions check other-peoples.jsonl --bound 0.1
    """
    from dataclasses import asdict

    from massannot.questions.ask.blind_check import check_manifest, write_scored

    found = check_manifest(manifest, bound=bound, seed=seed)
    if scores is not None:
        write_scored(scores, manifest, found)
    if found.unread:
        print(
            f"{counted(len(found.unread), 'row')} of {len(found.unread) + len(found.blind_score)} "
            f"left out, the first is row {found.unread[0] + 1}: found no question with an answer "
            "that can be read",
            file=sys.stderr,
        )
    if as_json:
        print_json([asdict(family) for family in found.families])
    else:
        for family in found.families:
            best = family.best
            verdict = "LEAKS" if family.leaks else "ok" if family.judged else "too few"
            print(
                f"{family.family}: {counted(family.questions, 'question')}, "
                f"chance {family.chance:.2f}, {best.solver} {best.accuracy:.2f} "
                f"[{best.low:.2f}, {best.high:.2f}] {verdict}"
            )
    if any(family.leaks for family in found.families):
        raise typer.Exit(3)


@questions_app.command("publish")
@never_silent
def questions_publish(
    proven: Annotated[Path, typer.Argument(help="What `questions ask` wrote.")],
    dest: Annotated[Path, typer.Argument(help="A new folder.")],
    license: Annotated[
        str | None, typer.Option(help="As the Hub names it, such as cc-by-4.0.")
    ] = None,
    val: Annotated[float, typer.Option(help="Share of the videos.", min=0, max=0.9)] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the videos.", min=0, max=0.9)] = 0.1,
    accepted_only: AcceptedOnly = False,
    min_acceptance: MinAcceptance = None,
    as_json: AsJson = False,
) -> None:
    """Write questions with their films as a dataset that `datasets` loads: train, val, test.

    The card has families, chance and what blind solvers reach; exit 3 where a family leaks.

    \b
    massannot questions publish asked published --license cc-by-4.0
    """
    from massannot.exporters._published_questions import PublishOptions, publish_questions

    options = PublishOptions(
        license=license,
        val=val,
        test=test,
        accepted_only=accepted_only,
        min_acceptance=min_acceptance,
    )
    found = publish_questions(proven, dest, options=options)
    print_first("left out", found.left_out)
    if as_json:
        print_json({"questions": dict(found.counts), "leaking": list(found.leaking)})
    else:
        print(", ".join(f"{n} {split}" for split, n in found.counts.items()) + f" in {dest}")
    if found.leaking:
        print_first("answered without the video", found.leaking)
        raise typer.Exit(3)


@questions_app.command("explain")
@never_silent
def questions_explain(
    dest: Annotated[Path, typer.Argument(help="What `questions ask` wrote.")],
    question_id: Annotated[
        str | None, typer.Argument(help="A question's id, or how it begins.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Some of one clip, of as many families as there are.")
    ] = False,
    count: Annotated[int, typer.Option(help="How many with --all.", min=1)] = 10,
    data: Annotated[
        Path | None, typer.Option(help="The dataset asked about, where it has moved.")
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("-o", "--page", help="HTML file with the evidence drawn on frames."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Derive answers step by step, from the rows that prove them; exit 3 where they do not.

    \b
    massannot questions explain asked 288457
    massannot questions explain asked 288457 --page why.html
    massannot questions explain asked --all -o ten.html
    """
    import sys

    from massannot.errors import UsageError
    from massannot.questions.ask.audit_answers import source_of
    from massannot.questions.ask.derivation import derivation, derivations, some_of_a_clip
    from massannot.viewers.question_page import write_question_page

    if every == (question_id is not None):
        raise UsageError("explain: expected the id of a question, or --all")
    if question_id is not None:
        found = [derivation(dest, question_id, data=data)]
    else:
        found = derivations(dest, some_of_a_clip(dest, count), data=data)
    if as_json:
        print_json([one.as_json for one in found])
    else:
        print("\n\n".join(one.text for one in found))
    if page is not None and not write_question_page(page, found, data=data or source_of(dest)):
        print(f"{page}: without pictures, the video could not be read", file=sys.stderr)
    if any(one.problems for one in found):
        raise typer.Exit(3)
