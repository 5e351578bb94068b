"""Repositories of the Hugging Face Hub (hf://datasets/USER/NAME@REVISION/...) as a store to read
from; see store.Store. HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are honoured by its library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from massannot.errors import NothingToRun
from massannot.storage.store import Entry, ReadOnly, StoreRefused, StoreSilent, without_secrets

T = TypeVar("T")


class HubStore(ReadOnly):
    refusal = "the Hub can only be read; write to a folder and upload that"

    def __init__(self) -> None:
        try:
            from huggingface_hub import HfFileSystem
        except ImportError:
            raise NothingToRun(
                "hf:// needs huggingface_hub: pip install 'massannot[models]', or huggingface_hub"
            ) from None
        self._hub: Any = HfFileSystem()

    def list(self, folder: str) -> Iterator[Entry]:
        try:
            found = self._asked(folder, lambda path: self._hub.find(path, detail=True))
        except FileNotFoundError:
            return
        for name in sorted(found):
            yield _entry(found[name])

    def head(self, uri: str) -> Entry:
        found = self._asked(uri, self._hub.info)
        if found["type"] != "file":
            raise FileNotFoundError(f"{uri}: found a folder")
        return _entry(found)

    def get(self, uri: str) -> bytes:
        return self._asked(uri, self._hub.cat_file)

    def get_range(self, uri: str, start: int, length: int) -> bytes:
        return self._asked(uri, lambda p: self._hub.cat_file(p, start=start, end=start + length))

    def open(self, uri: str) -> BinaryIO:
        return self._asked(uri, lambda path: self._hub.open(path, "rb", block_size=1 << 18))

    def download(self, uri: str, path: Path) -> Entry:
        entry = self.head(uri)
        self._asked(uri, lambda name: self._hub.get_file(name, str(path)))
        return entry

    def _asked(self, uri: str, call: Callable[[str], T]) -> T:
        """The library waits and tries again by itself."""
        try:
            return call(uri.removeprefix("hf://"))
        except FileNotFoundError:
            raise FileNotFoundError(f"{uri}: found nothing") from None
        except PermissionError as error:
            raise StoreRefused(f"{uri}: {without_secrets(str(error))}") from None
        except OSError as error:
            if error.errno is not None:
                raise
            raise StoreSilent(f"{uri}: {without_secrets(str(error))[:300]}") from None


def _entry(found: Any) -> Entry:
    return Entry(f"hf://{found['name']}", found["size"], None, found.get("blob_id"))
