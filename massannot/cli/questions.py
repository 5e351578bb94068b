"""Commands about questions: from other datasets' files to rows that can be annotated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from massannot.cli.app import AsJson, app, print_first, print_json
from massannot.counts import counted

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
    """Read other datasets' questions, type their answers, and say which were refused and why; exit
    3 where some were.

    Three examples of each kind show how their answers were read.

    \b
    massannot questions import videohallu.csv -o questions.parquet
    massannot questions import Video-R1-260k.json --videos Video-R1-data -o questions.jsonl
    massannot questions import llava.json -o questions.jsonl --map answer=conversations.1.value
    massannot annotate questions.jsonl -o out
    """
    from massannot.errors import UsageError
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
        raise UsageError(
            f"{', '.join(map(str, files))}: found {counted(len(imported.refused), 'row')}, none of "
            f"which can be used ({why or 'there is none'}); {output} is not written"
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
    else:
        print(f"{counted(len(imported.questions), 'question')} in {output}")
        for kind, some in imported.examples().items():
            print(f"{kinds[kind]:7d} {kind}")
            for q in some:
                print(f"          {q.question_id}: {q.answer!r} is {import_files.read_as(q)}")
        print(f"{len(imported.refused)} refused" + (f", see {refused}" if imported.refused else ""))
        for reason, n in reasons.items():
            print(f"{n:7d} {reason}")
    if imported.refused:
        raise typer.Exit(3)
