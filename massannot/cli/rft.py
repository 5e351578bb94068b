"""Commands of the trainer: prompts to look at, training, evaluation."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from massannot.cli.app import AsJson, app, print_json
from massannot.jobs.heartbeat import never_silent

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
    reference: Annotated[
        str,
        typer.Option(
            help="Of the profile's motions: world, camera, or auto: the world where it is known."
        ),
    ] = "auto",
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
        float | None,
        typer.Option(help="Leave out motions of lower or unknown quality, 0..1.", min=0, max=1),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The prompt of one question, and what its token budget dropped.

    \b
    massannot rft show out q1
    massannot rft show out q1 --template mass-v1 --frames 8
    massannot rft show out q1 --reference camera
    """
    from massannot.dataset.reading import open_dataset
    from massannot.errors import BadQuestion, UsageError
    from massannot.questions import prompt_report
    from massannot.questions.examples import TrainingData

    choices: dict[str, Any] = {
        "profile_template": template,
        "reference": reference,
        "frames": frames,
    }
    options = TrainingData(
        **choices,
        model_family=model_family,
        max_pixels=max_pixels,
        processor=processor,
        max_tokens=max_tokens,
    )
    try:
        shown = prompt_report.prompt_of(
            open_dataset(out), question_id, options, min_quality=min_quality
        )
    except BadQuestion as error:
        raise UsageError(str(error)) from error
    if as_json:
        print_json(prompt_report.as_json(*shown))
    else:
        print(prompt_report.as_text(*shown))


@rft_app.command("recipes")
def rft_recipes(as_json: AsJson = False) -> None:
    """List the recipes of training.

    \b
    massannot rft recipes
    """
    from massannot.rft.training_recipes import names, recipe

    summaries = {name: recipe(name).summary for name in names()}
    if as_json:
        print_json(summaries)
    else:
        print("\n".join(f"{name:16} {summary}" for name, summary in summaries.items()))


@rft_app.command("train")
def rft_train(
    name: Annotated[
        str, typer.Argument(metavar="RECIPE", help="See `massannot rft recipes`, or ./mine.py.")
    ],
    data: Annotated[Path, typer.Option(help="Folder of `questions scenes`, or of `export trl`.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="Models, checkpoints, metrics.")],
    method: Annotated[str, typer.Option(help="sft, grpo or tgrpo.")] = "tgrpo",
    after: Annotated[
        Path | None, typer.Option(help="Folder of a training whose model is gone on from.")
    ] = None,
    evidence: Annotated[
        str | None,
        typer.Option(
            help="What prompts keep: frames+profile, frames, none, frames+geometry (selected), "
            "frames+all-geometry or frames+geometry+profile; else the recipe's."
        ),
    ] = None,
    geometry: Annotated[
        Path | None, typer.Option(help="Folder of `export geometry`; else an export's rows say.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A folder or hub id in place of its own.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Of the method.", min=1)] = None,
    warm_up_steps: Annotated[int | None, typer.Option(help="Supervised, before.", min=0)] = None,
    seed: Annotated[int, typer.Option(help="Of everything drawn.", min=0)] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Refuse to begin: there has to be a checkpoint.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check data and settings, show a prompt, load nothing."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a vision-language model: supervised, by GRPO or by T-GRPO.

    The same command continues in its folder from the last checkpoint.

    \b
    massannot rft train tiny --data asked -o trained
    massannot rft train tiny --data asked -o trained-sft --method sft
    massannot rft train tiny --data asked -o trained-both --after trained-sft
    massannot rft train tiny --data asked -o trained-plain --evidence frames
    massannot rft train qwen2_5_vl_7b --data exported -o trained --dry-run
    """
    from contextlib import redirect_stdout
    from dataclasses import asdict

    from massannot.counts import counted
    from massannot.rft import train
    from massannot.rft.run_folder import ended
    from massannot.rft.training_recipes import recipe

    chosen = train.with_steps(recipe(name), steps=steps, warm_up_steps=warm_up_steps)
    options: dict[str, Any] = {"data": data, "out": out, "model": model}
    options |= {"evidence": evidence or chosen.evidence}
    options |= {"method": method, "after": after, "geometry": geometry}
    if dry_run:
        expected = train.dry_run(name, chosen, **options)
        if as_json:
            print_json(asdict(expected))
        else:
            print(expected.text)
        return
    with redirect_stdout(sys.stderr):  # as TRL says how it goes
        train.train(name, chosen, **options, seed=seed, resume=resume)
    end = ended(out)
    if as_json:
        print_json(end)
    else:
        print(f"{end['model_folder']}: {end['method']}, {counted(end['n_questions'], 'question')}")


@rft_app.command("eval")
def rft_eval(
    runs: Annotated[list[Path], typer.Argument(help="Folders that `rft train` wrote.")],
    data: Annotated[Path, typer.Option(help="Questions that were not trained on.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="Folder of table and picture.")],
    geometry: Annotated[
        Path | None, typer.Option(help="Folder of `export geometry` of these questions' clips.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="The condition that the others are compared with, question by question."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N questions.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Score trained models per category, before and after, with frames in order and shuffled.

    Trainings that differ only in their seed are one condition, whose score is their mean.
    Leaves scores.md, scores.json, scores.png, answers.jsonl and curves.png (how trainings went).

    \b
    massannot rft eval trained trained-plain --data held-out -o scores --against "plain + SFT"
    """
    from transformers.utils import logging

    from massannot.rft import scores, training_curves
    from massannot.rft.answer import answers, curve_names, refuse_other_baseline

    logging.set_verbosity_error()  # a line for each model and batch is no news
    logging.disable_progress_bar()
    log = partial(print, file=sys.stderr)
    if against is not None:
        refuse_other_baseline(runs, against)
    answered = answers(runs, data=data, geometry=geometry, limit=limit, log=log)
    rows = scores.scores(answered, seed=seed, against=against)
    scores.write(rows, answered, out)
    if curves := training_curves.curves_of(curve_names(runs)):
        training_curves.picture(curves).save(out / "curves.png")
    if as_json:
        print((out / "scores.json").read_text(), end="")
    else:
        print(scores.as_text(rows), end="")


@rft_app.command("score")
@never_silent
def rft_score(
    answers: Annotated[
        Path, typer.Argument(help="JSONL of ids and answers, or lmms-eval samples.")
    ],
    data: Annotated[Path, typer.Option(help="Folder of the dataset, or the manifest.")],
    reader: Annotated[str, typer.Option(help="strict or lenient.")] = "lenient",
    rule: Annotated[str, typer.Option(help="ours, vsi, video-r1 or stkit.")] = "ours",
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the scores.")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(help="Of free text: ./mine.py:function or http://localhost:PORT/v1."),
    ] = None,
    judge_model: Annotated[
        str | None, typer.Option(help="The model's name at that address.")
    ] = None,
    answered_only: Annotated[
        bool, typer.Option("--answered-only", help="Leave out questions without an answer.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Score any model's answers: per category, with intervals over videos and mean errors.

    \b
    massannot rft score answers.jsonl --data out
    massannot rft score samples_vsibench.jsonl --data vsi.parquet --rule vsi -o scores
    massannot rft score answers.jsonl --data out --reader strict --rule stkit
    """
    from massannot.errors import UsageError
    from massannot.rft import foreign_answers, foreign_scores, judges

    if reader not in ("strict", "lenient"):
        raise UsageError(f"--reader {reader}: expected strict or lenient")
    if rule not in foreign_answers.RULES:
        raise UsageError(f"--rule {rule}: expected one of {', '.join(foreign_answers.RULES)}")
    found = foreign_scores.score(
        answers,
        data=data,
        reader=reader,  # type: ignore[arg-type]
        rule=rule,
        judge=None if judge is None else judges.judge(judge, model=judge_model),
        answered_only=answered_only,
        seed=seed,
    )
    if out is not None:
        foreign_scores.write(found, out)
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    if as_json:
        print_json(foreign_scores.as_json(found))
    else:
        print(foreign_scores.as_text(found), end="")
