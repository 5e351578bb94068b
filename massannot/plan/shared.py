"""The plans of an output folder in a bucket: shared there, so that whoever starts on another
machine, or after the working folder was thrown away, gives the same shards the same names."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from massannot.errors import OtherRecipe
from massannot.storage import durable
from massannot.storage.path import BucketPath

LAST = "shards.parquet"
"""Written last: a plan without it is not there."""


def fetch(shared: BucketPath, local: Path) -> None:
    """Bring plans from the bucket that are not in the local folder yet."""
    names: dict[str, list[str]] = {}
    for entry in shared.store.list(str(shared)):
        plan, _, name = entry.uri.removeprefix(f"{shared}/").partition("/")
        names.setdefault(plan, []).append(name)
    for plan, files in names.items():
        if LAST in files and not (local / plan).exists():
            _fetch(shared / plan, files, local / plan)


def share(local: Path, shared: Path) -> None:
    """Put local plans into the bucket. Raises OtherRecipe when somebody else was first with another
    of the same number; that one is kept, and this one removed. Several may put the same plan, and
    one that broke off is completed."""
    for folder in sorted(path for path in local.glob("[0-9]*") if path.is_dir()):
        there = shared / folder.name
        if (there / LAST).is_file():
            continue
        for path in sorted(folder.iterdir(), key=lambda path: path.name == LAST):
            content = path.read_bytes()
            mine = durable.write_once(there / path.name, content)
            if not mine and (there / path.name).read_bytes() != content:
                shutil.rmtree(folder)
                raise OtherRecipe(
                    f"{there}: another start planned this dataset at the same time; give the same "
                    "command again, and it continues with that plan"
                )


def drop(shared: BucketPath) -> None:
    """Remove every plan from the bucket, the file that makes one complete first."""
    uris = [entry.uri for entry in shared.store.list(str(shared))]
    for uri in sorted(uris, key=lambda uri: not uri.endswith(LAST)):
        (shared / uri.removeprefix(f"{shared}/")).unlink(missing_ok=True)


def _fetch(shared: Path, names: list[str], folder: Path) -> None:
    partial = durable.private_name(folder)
    try:
        partial.mkdir(parents=True)
        for name in names:
            (partial / name).write_bytes((shared / name).read_bytes())
        os.rename(partial, folder)
    except OSError:
        if not folder.exists():  # somebody else on this machine was first
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
