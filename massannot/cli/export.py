"""The command that writes a dataset in another format: for readers, and for trainers.

Each format is a subcommand, made when it is named: its flags are the fields of the format's
`OPTIONS`, its help is the docstring of the format's file.
"""

from __future__ import annotations

import inspect
import sys
import types
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from massannot.cli.app import SHOWN, AsJson, app, print_first, print_json
from massannot.counts import counted
from massannot.errors import NothingToRun, UsageError
from massannot.jobs.heartbeat import never_silent


class FormatGroup(TyperGroup):
    """Formats as subcommands, looked up by name or by the path of a file."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _command(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        from massannot import exporters

        rows = [tuple(exporters.summary(name).split(": ", 1)) for name in exporters.names()]
        with formatter.section("Formats (-h after one: its options)"):
            formatter.write_dl([*rows, ("./mine.py", "a format of your own, see exporters/")])


class FormatCommand(TyperCommand):
    """One format, which names the formats that have a flag that it does not have."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = {flag for parameter in self.params for flag in parameter.opts}
        for flag in (arg.partition("=")[0] for arg in args if arg.startswith("--")):
            if flag not in (*own, "--help", "--") and (others := _formats_with(flag)):
                raise UsageError(f"{flag} with {self.name}: expected one of {', '.join(others)}")
        return super().parse_args(ctx, args)


export_app = typer.Typer(
    cls=FormatGroup, subcommand_metavar="FORMAT OUT DEST", invoke_without_command=True
)
app.add_typer(export_app, name="export")


@export_app.callback()
def export(
    ctx: typer.Context,
    list_formats: Annotated[bool, typer.Option("--list", help="Every format.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a dataset in another format: for a reader, or for a trainer.

    \b
    massannot export coco out coco-out
    massannot export verl out data --model-family qwen3_vl --media video --val 0.05
    massannot export ./my_format.py out mine
    massannot export trl -h
    """
    from massannot import exporters

    if list_formats:
        summaries = {name: exporters.summary(name) for name in exporters.names()}
        if as_json:
            print_json(summaries)
        else:
            print("\n".join(summaries.values()))
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        raise UsageError("export: found no format, expected FORMAT OUT DEST, or --list")
    ctx.default_map = {ctx.invoked_subcommand: {"as_json": as_json}}


def _command(name: str) -> Any:
    """The format's command. Raises UsageError for a name that leads to no format."""
    from massannot import exporters

    options = exporters.options_of(name)

    def write(out: str, dest: Path, as_json: bool, **values: Any) -> None:
        _write(name, out, dest, options(**values), as_json=as_json)

    out = typer.Argument(metavar="OUT", help="Folder of the dataset.")
    dest = typer.Argument(metavar="DEST", help="Folder of the export.")
    parameters = [
        _parameter("out", Annotated[str, out], inspect.Parameter.empty),
        _parameter("dest", Annotated[Path, dest], inspect.Parameter.empty),
        *_flags(options),
        _parameter("as_json", AsJson, False),
    ]
    write.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    write.__annotations__ = {item.name: item.annotation for item in parameters}
    alone = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    alone.command(name, cls=FormatCommand, help=exporters.docstring(name))(write)
    return typer.main.get_command(alone)


@never_silent
def _write(name: str, out: str, dest: Path, options: Any, *, as_json: bool) -> None:
    from massannot import exporters
    from massannot.questions.ask.asked_about import with_its_clips

    written = exporters.exporter(name).export(with_its_clips(out), dest, options=options)
    if written.left_out and not written.files:
        raise NothingToRun(f"{out}: nothing can be written as {name}: {written.left_out[0]}")
    print_first("left out", written.left_out)
    empty = () if written.files else ("no clip has anything to write: no file was written",)
    for sentence in (*written.notes, *empty):
        print(f"note: {sentence}", file=sys.stderr)
    if as_json:
        files = [str(path) for path in written.files]
        notes = {"left_out": list(written.left_out), "notes": list(written.notes)}
        print_json({"files": files, **notes})
    else:
        for path in written.files[:SHOWN]:
            print(path)
        if len(written.files) > SHOWN:  # a file a clip, of a million
            more = counted(len(written.files) - SHOWN, "more file")
            print(f"{dest}: {more}; --json names all", file=sys.stderr)


def _flags(options: type) -> list[inspect.Parameter]:
    """A flag for each field, with the text of the field's annotation as its help."""
    hints = get_type_hints(options, include_extras=True)
    flags = []
    for option in fields(options):
        if option.default is MISSING:
            raise UsageError(f"{options.__name__}.{option.name}: found no default, expected one")
        kind, texts = hints[option.name], []
        if get_origin(kind) is Annotated:
            kind, *texts = get_args(kind)
        flag: Any = typer.Option(help=" ".join(texts))
        flags.append(_parameter(option.name, Annotated[_plain(kind), flag], option.default))
    return flags


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _plain(kind: Any) -> Any:
    """The type as the command line reads it: str in the place of a Literal, whose values the
    dataclass itself checks."""
    if get_origin(kind) is Literal:
        return str
    if get_origin(kind) in (Union, types.UnionType):
        return Union[tuple(_plain(part) for part in get_args(kind))]  # noqa: UP007
    return kind


def _formats_with(flag: str) -> list[str]:
    from massannot import exporters

    option = flag.removeprefix("--").replace("-", "_")
    return [
        name
        for name in exporters.names()
        if any(field.name == option for field in fields(exporters.options_of(name)))
    ]
