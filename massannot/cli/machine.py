"""Commands about this machine and this installation: doctor, models, recipes, schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from massannot.cli.app import AsJson, app, models_app, print_json, recipes_app
from massannot.counts import counted
from massannot.errors import UsageError


@app.command()
def doctor(
    folder: Annotated[Path, typer.Option("-o", "--output", help="Where output would go.")] = Path(),
    weights: Annotated[
        str | None,
        typer.Option(
            help="Run each model of this profile once, and write doctor-PROFILE[-DTYPE].json."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Of --weights: auto, cpu, cuda, cuda:N.")] = "auto",
    dtype: Annotated[
        str, typer.Option(help="Of --weights: bf16 or fp16 beside fp32: how far answers move.")
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Is this machine ready? Python, torch and the GPU, memory, disk, codecs, variables.

    With --weights: do the weights of a profile load, answer in the right shapes and know their job,
    on a rendered clip whose truth is known? It brings them from the hub where they are missing, and
    its report, written where output would go, can be sent back. Exit code 4: something is wrong.

    \b
    massannot doctor -o /data/out
    massannot doctor --json > doctor.json
    massannot doctor --weights small
    massannot doctor --weights small --dtype bf16
    """
    import dataclasses

    from massannot.doctor import examine

    if weights is None and dtype != "auto":
        raise UsageError("--dtype is that of --weights PROFILE: found no profile")
    if weights is not None:
        _try_weights(weights, folder, device=device, dtype=dtype, as_json=as_json)
        return
    findings = examine(folder)
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = {"ok": " ", "note": "-", "error": "!"}[finding.verdict]
            way_out = f"\n      {finding.way_out}" if finding.way_out else ""
            print(f"{mark} {finding.what:<24} {finding.found}{way_out}")
    if any(finding.verdict == "error" for finding in findings):
        raise typer.Exit(4)


def _try_weights(name: str, folder: Path, *, device: str, dtype: str, as_json: bool) -> None:
    """The trials of a profile, printed and written."""
    import dataclasses
    import sys

    from massannot.doctor import examine
    from massannot.models.profiles import named
    from massannot.models.runtime import pick, refuse_emulated
    from massannot.models.weights import require
    from massannot.models.weights_trial import try_profile
    from massannot.recipes.model_flags import refuse_unknown_dtype

    refuse_unknown_dtype(dtype)
    profile = named(name)
    if profile.note:  # before anything is downloaded
        print(f"NOTE: {profile.note}", file=sys.stderr)
    chosen = pick(device)
    refuse_emulated(dtype, device=chosen)
    require(profile.weights)
    trials = try_profile(profile, device=chosen, dtype=dtype)
    report = {
        "profile": name,
        "device": chosen,
        "dtype": dtype,
        "trials": [trial.as_json() for trial in trials],
        "machine": [dataclasses.asdict(finding) for finding in examine(folder)],
    }
    path = folder / f"doctor-{name}{'' if dtype == 'auto' else f'-{dtype}'}.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2), encoding="utf-8")
    if as_json:
        print_json(report)
    else:
        for trial in trials:
            mark = "!" if trial.problems else " "
            measures = ", ".join(f"{what} {value:g}" for what, value in trial.measures.items())
            memory = "" if trial.peak_memory_gb is None else f", {trial.peak_memory_gb:g} GB"
            print(f"{mark} {trial.job:<8}{trial.weights or trial.adapter}: {measures}")
            print(f"          {trial.setup_s:g} s to load, {trial.run_s:g} s to run{memory}")
            for problem in trial.problems:
                print(f"          {problem}")
        print(f"wrote {path}")
    if any(trial.problems for trial in trials):
        raise typer.Exit(4)


@app.command()
def schemas(
    folder: Annotated[Path, typer.Argument(help="Where the JSON Schemas lie.")] = Path("schemas"),
    check: Annotated[bool, typer.Option("--check", help="Only say whether they differ.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the JSON Schemas of tables and exports, or check that a folder has the present ones."""
    from massannot.exporters import _mass_bench_schema as mass_bench
    from massannot.tables import _json_schema as json_schema

    more = {mass_bench.SCHEMA_FILE: mass_bench.schema_text()}
    if check:
        wrong = json_schema.drift(folder, more=more)
        if wrong:
            raise UsageError(f"{folder}: {'; '.join(wrong)}; run `massannot schemas {folder}`")
        n_schemas = len(json_schema.schema_files()) + len(more)
        if as_json:
            print_json({"schemas": n_schemas, "different": []})
        else:
            print(f"{folder}: {counted(n_schemas, 'schema')}, all present")
        return
    changed = json_schema.write(folder, more=more)
    if as_json:
        print_json([str(path) for path in changed])
    else:
        print("\n".join(map(str, changed)) or f"{folder}: nothing changed")


@recipes_app.command("list")
def recipes_list(as_json: AsJson = False) -> None:
    """Every recipe with its first sentence."""
    from massannot.recipes import registry

    rows = {name: registry().summary(name) for name in registry().names()}
    if as_json:
        print_json(rows)
    else:
        for name, sentence in rows.items():
            print(f"{name:<24} {sentence}")


@recipes_app.command("show")
def recipes_show(name: str, as_json: AsJson = False) -> None:
    """One recipe: its stages in order, with every option and its present value.

    \b
    massannot recipes show annotate
    """
    from massannot.recipes import registry
    from massannot.recipes.model_flags import run_spec

    described = run_spec(recipe=name).pipeline().describe()
    if as_json:
        print_json(described)
        return
    print(registry().docstring(name), end="\n\n")
    for stage in described["stages"]:
        name = stage.pop("stage")
        models = [v["is"] for v in stage.values() if isinstance(v, dict)]
        print(name + (f"  ({', '.join(models)})" if models else ""))
        for option, value in _settable(stage):
            print(f"    --set {name}.{option}={value}")


def _settable(options: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """The names that --set takes, with their present values; models have options of their own."""
    for option, value in options.items():
        if isinstance(value, dict) and value.get("is") == "Weights":
            continue  # --weights JOB=WHERE says these
        if isinstance(value, dict):
            yield from _settable(value, f"{above}{option}.")
        elif option == "is":
            continue  # the model's name: --profile, files and oracles choose it
        else:
            yield above + option, value if isinstance(value, str) else json.dumps(value)


@models_app.command("list")
def models_list(as_json: AsJson = False) -> None:
    """Every profile: which weights do which job, their licence, size and memory, and with what
    each model was seen here."""
    from massannot.models.profiles import PROFILES

    if as_json:
        print_json([_profile_json(profile) for profile in PROFILES])
        return
    for profile in PROFILES:
        print(f"{profile.name}: {profile.summary}")
        if profile.note:
            print(f"  NOTE: {profile.note}")
        for model in profile.models:
            source = f"{model.method}, no weights" if model.weights is None else str(model.weights)
            size = f"{model.n_bytes / 2**20:.0f} MiB" if model.n_bytes else ""
            memory = f"{model.memory_gb:.1f} GB memory" if model.memory_gb else ""
            license = model.license or ("no licence tag" if model.weights else "")
            shown = ", ".join(filter(None, (license, size, memory, model.seen)))
            print(f"  {model.job:<8}{source}  ({shown})")


@models_app.command("check")
def models_check(profile: str, as_json: AsJson = False) -> None:
    """Are a profile's weights on this machine? Exit code 4 when some are missing."""
    from massannot.models.profiles import named
    from massannot.models.weights import require

    found = require(named(profile).weights, download=False)
    rows = [{"weights": str(w.wanted), "path": str(w.folder)} for w in found]
    if as_json:
        print_json(rows)
    else:
        print("\n".join(f"{row['weights']}  {row['path']}" for row in rows) or "needs no weights")


@models_app.command("download")
def models_download(profile: str, as_json: AsJson = False) -> None:
    """Bring a profile's weights into the Hugging Face cache (HF_HOME), with progress.

    \b
    massannot models download small
    """
    from massannot.models.profiles import named
    from massannot.models.weights import require

    folders = [str(local.folder) for local in require(named(profile).weights)]
    if as_json:
        print_json(folders)
    else:
        print("\n".join(folders) or "needs no weights")


def _profile_json(profile: Any) -> dict[str, Any]:
    return {
        "name": profile.name,
        "summary": profile.summary,
        "note": profile.note,
        "models": [
            {
                "job": model.job,
                "method": model.method,
                "weights": None if model.weights is None else str(model.weights),
                "license": model.license,
                "n_bytes": model.n_bytes,
                "memory_gb": model.memory_gb,
                "seen": model.seen,
            }
            for model in profile.models
        ],
    }
