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
            files = self._called(folder, lambda path: self._hub.find(path, detail=True))
        except FileNotFoundError:
            return
        for name in sorted(files):
            yield _entry(files[name])

    def head(self, uri: str) -> Entry:
        info = self._called(uri, self._hub.info)
        if info["type"] != "file":
            raise FileNotFoundError(f"{uri}: found a folder")
        return _entry(info)

    def get(self, uri: str) -> bytes:
        return self._called(uri, self._hub.cat_file)

    def get_range(self, uri: str, start: int, length: int) -> bytes:
        return self._called(uri, lambda p: self._hub.cat_file(p, start=start, end=start + length))

    def open(self, uri: str) -> BinaryIO:
        return self._called(uri, lambda path: self._hub.open(path, "rb", block_size=1 << 18))

    def download(self, uri: str, path: Path) -> Entry:
        entry = self.head(uri)
        self._called(uri, lambda name: self._hub.get_file(name, str(path)))
        return entry

    def _called(self, uri: str, call: Callable[[str], T]) -> T:
        """The result of `call`, with this project's errors. The library retries by itself."""
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


def _entry(info: Any) -> Entry:
    return Entry(f"hf://{info['name']}", info["size"], None, info.get("blob_id"))
