"""Commands about questions: from other datasets' files to rows that can be annotated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import AsJson, app, print_first, print_json

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
    depth_maps: Annotated[
        bool, typer.Option("--depth-maps", help="Keep depth, for `export geometry`.")
    ] = False,
    family: Annotated[
        list[str] | None, typer.Option(help="Only this kind of question; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask about physics scenes; every answer is exact, and guessing blindly gives chance.

    Which way, how far, how fast, which is faster, does it hit, does it bounce, when. The dataset is
    in the annotator's own tables, with four thumbnails a scene instead of a film.

    \b
    massannot questions scenes asked --count 200
    massannot questions scenes held-out --seed 900256 --count 100 --family faster
    """
    from massannot.questions.scene_dataset import write_scene_questions

    seeds = range(seed, seed + count)
    counts = write_scene_questions(
        out, seeds=seeds, views=views, names=family or (), depth_maps=depth_maps
    )
    if as_json:
        print_json(dict(sorted(counts.items())))
    else:
        print("\n".join(f"{n:7d} {name}" for name, n in sorted(counts.items())))


@questions_app.command("import")
def questions_import(
    files: Annotated[list[Path], typer.Argument(help="CSV, TSV, JSON, JSONL or Parquet.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Manifest to write: .parquet or .jsonl.")
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="auto, vsi-bench, sti-bench, dsr-bench, dsr-bench-tsv, vlm4d, next-qa, video-r1, "
            "videohallu or plain.",
        ),
    ] = "auto",
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", help="OURS=THEIRS: a manifest's column, the file's; repeatable."),
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="Folder that the videos' paths start from; else the file's.")
    ] = None,
    find_entities: Annotated[
        bool, typer.Option("--find-entities", help="Questions that name none get noun phrases.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read other datasets' questions, type their answers, and say which were refused and why.

    Three examples of each kind show how their answers were read.

    \b
    massannot questions import videohallu.csv -o questions.parquet
    massannot questions import Video-R1-260k.json --videos Video-R1-data -o questions.jsonl
    massannot questions import llava.json -o questions.jsonl --map answer=conversations.1.value
    massannot annotate questions.jsonl -o out
    """
    from massannot.errors import NothingToRun, UsageError
    from massannot.questions import import_files, import_formats

    if form not in ("auto", *import_formats.FORMATS):
        names = ", ".join(("auto", *import_formats.FORMATS))
        raise UsageError(f"--format {form}: expected one of {names}")
    refused = output.with_name(f"{output.stem}.refused.jsonl")
    read = [file for file in files if file.resolve() in (output.resolve(), refused.resolve())]
    if read:
        raise UsageError(
            f"-o {output}: would write over {read[0]}, which is to be read, and lose what is "
            "refused; expected another name"
        )
    chosen = None if form == "auto" else form
    imported = import_files.import_questions(
        files,
        form=chosen,
        mapped=import_formats.parse_map(columns or ()),
        videos=videos,
        find_entities=find_entities,
    )
    import_files.check_name(output)
    if imported.questions:
        import_files.write_questions(output, imported.questions)
    refused.unlink(missing_ok=True)
    if imported.refused:
        import_files.write_refused(refused, imported.refused)
    print_first(
        "refused",
        [q.problem.message for q in imported.refused if q.problem],
        rest=f", see {refused}",
    )
    kinds, reasons = dict(sorted(imported.kinds.items())), dict(sorted(imported.reasons.items()))
    if not imported.questions:
        why = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
        raise NothingToRun(
            f"{', '.join(map(str, files))}: found {len(imported.refused)} rows, none of which can "
            f"be used ({why or 'there is none'}); {output} is not written"
        )
    if as_json:
        n_found = len(imported.questions)
        examples = {
            kind: [
                {"id": q.question_id, "answer": q.answer, "read_as": import_files.read_as(q)}
                for q in some
            ]
            for kind, some in imported.examples().items()
        }
        print_json(
            {
                "questions": n_found,
                "kinds": kinds,
                "examples": examples,
                "refused": reasons,
                "output": str(output),
            }
        )
        return
    print(f"{len(imported.questions)} questions in {output}")
    for kind, some in imported.examples().items():
        print(f"{kinds[kind]:7d} {kind}")
        for q in some:
            print(f"          {q.question_id}: {q.answer!r} is {import_files.read_as(q)}")
    print(f"{len(imported.refused)} refused" + (f", see {refused}" if imported.refused else ""))
    for reason, n in reasons.items():
        print(f"{n:7d} {reason}")


@questions_app.command("ask")
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
        print(f"{found.questions} questions, {found.n_wrong} wrong")
    if found.findings:
        raise typer.Exit(3)


@questions_app.command("check")
def questions_check(
    manifest: Annotated[
        Path, typer.Argument(help="JSONL, JSON or Parquet, or what `questions ask` wrote.")
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
    if as_json:
        print_json([asdict(family) for family in found.families])
    else:
        for family in found.families:
            best = family.best
            verdict = "LEAKS" if family.leaks else "ok" if family.judged else "too few"
            print(
                f"{family.family}: {family.questions} questions, chance {family.chance:.2f}, "
                f"{best.solver} {best.accuracy:.2f} [{best.low:.2f}, {best.high:.2f}] {verdict}"
            )
    if any(family.leaks for family in found.families):
        raise typer.Exit(3)


@questions_app.command("publish")
def questions_publish(
    proven: Annotated[Path, typer.Argument(help="What `questions ask` wrote.")],
    dest: Annotated[Path, typer.Argument(help="A new folder.")],
    license: Annotated[
        str | None, typer.Option(help="As the Hub names it, such as cc-by-4.0.")
    ] = None,
    val: Annotated[float, typer.Option(help="Share of the videos.", min=0, max=0.9)] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the videos.", min=0, max=0.9)] = 0.1,
    accepted_only: Annotated[
        bool, typer.Option("--accepted-only", help="Only questions that people accepted.")
    ] = False,
    min_acceptance: Annotated[
        float | None,
        typer.Option(help="Publish nothing if less was accepted, 0..1.", min=0, max=1),
    ] = None,
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
    print("\n\n".join(one.text for one in found))
    if page is not None and not write_question_page(page, found, data=data or source_of(dest)):
        print(f"{page}: without pictures, the video could not be read", file=sys.stderr)
    if any(one.problems for one in found):
        raise typer.Exit(3)
