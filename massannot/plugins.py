"""Plug-ins: modules found by the name of their file, in a folder of ours or anywhere else.

A name is one of three: `trl`, a file of the registry's own folder; `./my_format.py`, a file
anywhere; `my_package.formats`, a module that Python can import. Where one object of a module is
meant, `:NAME` follows: `my_rewards.py:brevity`. Listing names and summaries imports nothing.

A file from outside is loaded once in a process, under a module name made of its path, which is the
same in every process; its folder does not join `sys.path`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from massannot.errors import UsageError


@dataclass(frozen=True)
class Registry:
    """The plug-ins of one kind."""

    kind: str
    """The noun of error messages, such as "format"."""
    folder: Path
    """One plug-in a file; names that begin with `_` are not plug-ins."""
    package: str | None
    """Dotted name of `folder`; None: no package, its files are loaded by their paths."""
    separator: str = "_"
    """Between the words of a name on the command line, where a file's name has `_`."""
    error: type[UsageError] = UsageError
    plural: str = ""
    """Of `kind`; empty: it takes an s."""

    def names(self) -> tuple[str, ...]:
        """The plug-ins of the folder, in alphabetical order."""
        return tuple(path.stem.replace("_", self.separator) for path in _files(self.folder))

    def docstring(self, name: str) -> str:
        """The module docstring, read from the text of the file; a dotted name is imported."""
        if is_outside(name) and not is_file(name):
            return inspect.getdoc(self.module(name)) or ""
        path = Path(name) if is_file(name) else self._path(name)
        return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""

    def summary(self, name: str) -> str:
        """The first sentence of `docstring`."""
        paragraph = " ".join(self.docstring(name).partition("\n\n")[0].split())
        sentence, stop, _ = paragraph.partition(". ")
        return sentence + stop.strip()

    def module(self, name: str) -> ModuleType:
        """The plug-in, imported. Raises `error` for a name that leads to no module."""
        if is_outside(name):
            return outside_module(name, kind=self.kind, error=self.error)
        path = self._path(name)
        if self.package is None:
            return _module_of_file(path)
        return importlib.import_module(f"{self.package}.{path.stem}")

    def attribute(self, name: str, attribute: str) -> Any:
        """`attribute` of the plug-in's module. Raises `error` for a module without it."""
        module = self.module(name)
        if not hasattr(module, attribute):
            raise self.error(
                f"{self.kind} {name}: found no {attribute!r} in {module.__file__}, expected one"
            )
        return getattr(module, attribute)

    def _path(self, name: str) -> Path:
        stems = {path.stem: path for path in _files(self.folder)}
        stem = name.replace(self.separator, "_")
        if stem not in stems:
            plural = self.plural or f"{self.kind}s"
            raise self.error(
                f"no {self.kind} {name!r}; {plural}: {', '.join(self.names())}, or a file of yours "
                "such as ./mine.py"
            )
        return stems[stem]


def is_file(name: str) -> bool:
    """Whether `name`, without `:OBJECT`, is a path."""
    path = name.partition(":")[0]
    return path.endswith(".py") or "/" in path


def is_outside(name: str) -> bool:
    """Whether `name` is a path or a dotted module, and no plain name."""
    return is_file(name) or "." in name.partition(":")[0]


def absolute(name: str) -> str:
    """The name as it can be written down: a file's path holds in every working folder."""
    path, colon, attribute = name.partition(":")
    return f"{Path(path).resolve()}{colon}{attribute}" if is_file(name) else name


def outside_module(
    name: str, *, kind: str = "plug-in", error: type[UsageError] = UsageError
) -> ModuleType:
    """The module of a file's path or of a dotted name. Raises `error` where there is none; errors
    of the module's own code rise as they are."""
    if is_file(name):
        path = Path(name)
        if not path.is_file():
            raise error(f"{kind} {name}: found no such file, expected a Python file")
        return _module_of_file(path.resolve())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{name}.".startswith(f"{missing.name}."):
            raise
        raise error(
            f"{kind} {name}: found no module {missing.name!r}, expected one that Python can "
            "import; for a file write its path, such as ./mine.py"
        ) from missing


def outside_object(
    reference: str, *, kind: str = "plug-in", error: type[UsageError] = UsageError
) -> Any:
    """The object of `FILE.py:NAME` or `MODULE:NAME`. Raises `error` where there is none."""
    name, colon, attribute = reference.partition(":")
    if not (colon and attribute and is_outside(name)):
        raise error(f"{kind} {reference}: expected path/to/file.py:NAME or package.module:NAME")
    module = outside_module(name, kind=kind, error=error)
    if not hasattr(module, attribute):
        raise error(f"{kind} {reference}: found no {attribute!r} in {module.__file__}")
    return getattr(module, attribute)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!_]*.py"), key=lambda path: path.stem)


@cache
def _module_of_file(path: Path) -> ModuleType:
    digest = hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()
    name = f"massannot_plugin_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: cannot be imported, expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
