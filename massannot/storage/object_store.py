"""Buckets (s3://, gs://) as a store, through the library obstore; see store.Store.

Requests to a server that answers 500 or 503, or not at all, are repeated: for 30 s if it has never
answered this process, for 10 minutes if it has. Credentials come from the environment, the
machine's own role, or, where boto3 is installed, from its profiles.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from massannot.errors import NothingToRun
from massannot.storage.store import Entry, StoreRefused, StoreSilent, without_secrets

PATIENCE_S = 600.0
"""How long requests to a store that has answered before are repeated."""
FIRST_PATIENCE_S = 30.0
"""The same for one that never has: its address may be wrong."""
_REQUEST_S = 20.0
"""After so long a request is signed anew: credentials may have expired meanwhile."""
_MAX_RETRIES = 8
_BLOCK = 1 << 20
T = TypeVar("T")


class ObjectStore:
    """One bucket. Files are named by whole addresses, `s3://bucket/name`."""

    def __init__(self, scheme: str, bucket: str):
        try:
            import obstore
        except ImportError:
            raise NothingToRun(
                f"{scheme}://{bucket}: reading buckets needs obstore: pip install 'massannot[s3]'"
            ) from None
        self._obstore: Any = obstore
        self._root = f"{scheme}://{bucket}/"
        self._answered = False
        self._bucket: Any = _connect(scheme, bucket)

    def list(self, folder: str) -> Iterator[Entry]:
        """A page a request, each when it is wanted; buckets list in the order of addresses."""
        prefix = self._key(folder).rstrip("/") or None
        page: list[Entry] = []

        def next_page() -> list[Entry]:
            after = self._key(page[-1].uri) if page else None
            pages = self._obstore.list(self._bucket, prefix=prefix, offset=after, chunk_size=1000)
            return [self._entry(meta) for meta in next(iter(pages), [])]

        while page := self._waited_for(folder, next_page):
            yield from page

    def head(self, uri: str) -> Entry:
        return self._entry(self._at(uri, lambda key: self._obstore.head(self._bucket, key)))

    def get(self, uri: str) -> bytes:
        return self._at(uri, lambda key: bytes(self._obstore.get(self._bucket, key).bytes()))

    def get_range(self, uri: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        return self._at(
            uri,
            lambda key: bytes(
                self._obstore.get_range(self._bucket, key, start=start, length=length)
            ),
        )

    def open(self, uri: str) -> BinaryIO:
        return io.BufferedReader(_Ranges(self, self.head(uri)), _BLOCK >> 3)

    def download(self, uri: str, path: Path) -> Entry:
        def fetch(key: str) -> Entry:
            answer = self._obstore.get(self._bucket, key)
            with open(path, "wb") as file:
                for block in answer.stream(min_chunk_size=4 * _BLOCK):
                    file.write(block)
                written = file.tell()
            entry = self._entry(answer.meta)
            if written != entry.size_bytes:
                raise OSError(f"found {written} bytes, expected {entry.size_bytes}")
            return entry

        return self._at(uri, fetch)

    def put(self, uri: str, content: bytes) -> None:
        self._put(uri, content)

    def put_once(self, uri: str, content: bytes) -> bool:
        """Writers of equal contents all win: one may be the other, whose answer was lost."""
        try:
            self._put(uri, content, mode="create")
        except self._obstore.exceptions.AlreadyExistsError:
            return self.get(uri) == content
        return True

    def upload(self, path: Path, uri: str) -> None:
        self._put(uri, path)

    def copy(self, source: str, target: str) -> None:
        self._at(source, lambda key: self._obstore.copy(self._bucket, key, self._key(target)))

    def delete(self, uri: str) -> None:
        try:
            self._at(uri, lambda key: self._obstore.delete(self._bucket, key))
        except FileNotFoundError:
            return

    def _put(self, uri: str, content: bytes | Path, **how: str) -> None:
        def put(key: str) -> None:
            self._obstore.put(self._bucket, key, content, **how)

        try:
            self._at(uri, put)
        except FileNotFoundError as error:
            raise StoreRefused(f"{uri}: cannot be written: {error}") from None

    def _at(self, uri: str, call: Callable[[str], T]) -> T:
        key = self._key(uri)
        return self._waited_for(uri, lambda: call(key))

    def _key(self, uri: str) -> str:
        if not f"{uri}/".startswith(self._root):
            raise ValueError(f"{uri} is not in {self._root}")
        return uri[len(self._root) :]

    def _entry(self, meta: Any) -> Entry:
        written_s = meta["last_modified"].timestamp()
        return Entry(self._root + meta["path"], meta["size"], None, meta["e_tag"], written_s)

    def _no_bucket(self) -> StoreRefused:
        return StoreRefused(f"{self._root}: found no such bucket")

    def _waited_for(self, uri: str, call: Callable[[], T]) -> T:
        """The result of `call`, repeated until the store answers. Raises StoreRefused, and
        StoreSilent when the patience is over."""
        errors = self._obstore.exceptions
        started = time.monotonic()
        pause_s = 0.25
        while True:
            try:
                result = call()
            except (errors.AlreadyExistsError, FileExistsError):
                self._answered = True
                raise
            except (errors.NotFoundError, FileNotFoundError) as error:
                self._answered = True
                if "NoSuchBucket" in str(error):
                    raise self._no_bucket() from None
                raise FileNotFoundError(f"{uri}: found nothing") from None
            except (errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
                raise StoreRefused(
                    f"{uri}: the store refuses access ({_short(error)}); credentials come from the "
                    "environment (AWS_ACCESS_KEY_ID ...), the machine's role or a profile"
                ) from None
            except (errors.BaseError, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # the disk's fault, not the store's
                if "NoSuchBucket" in str(error):
                    raise self._no_bucket() from None
                if "169.254.169.254" in str(error) and not self._answered:
                    raise StoreRefused(
                        f"{uri}: found no credentials in the environment, on this machine or in a "
                        "profile; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                        "AWS_SKIP_SIGNATURE=true for what is public"
                    ) from None
                if re.search(r"status code: 4(?!08|09|29)\d\d|builder error", str(error)):
                    raise StoreRefused(f"{uri}: the store refuses: {_short(error)}") from None
                patience_s = PATIENCE_S if self._answered else FIRST_PATIENCE_S
                if time.monotonic() - started > patience_s:
                    raise StoreSilent(
                        f"{uri}: the store did not answer for {patience_s:g} s ({_short(error)}); "
                        "what is finished is kept: give the same command again when it does"
                    ) from None
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, 15.0)
            else:
                self._answered = True
                return result


class _Ranges(io.RawIOBase):
    """A file read by range requests."""

    def __init__(self, store: ObjectStore, entry: Entry):
        self._store = store
        self._entry = entry
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._entry.size_bytes}
        self._at = max(0, start[whence] + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._entry.size_bytes - self._at)
        if length <= 0:
            return 0
        content = self._store.get_range(self._entry.uri, self._at, length)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def _connect(scheme: str, bucket: str) -> Any:
    from obstore import store

    retry = {
        "max_retries": _MAX_RETRIES,
        "retry_timeout": timedelta(seconds=_REQUEST_S),
        "backoff": {
            "init_backoff": timedelta(milliseconds=100),
            "max_backoff": timedelta(seconds=5),
            "base": 2,
        },
    }
    if scheme == "gs":
        return store.GCSStore(bucket, retry_config=retry)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    more: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    if not os.environ.get("AWS_ACCESS_KEY_ID"):
        more |= _from_profile()
    return store.S3Store(
        bucket,
        retry_config=retry,
        client_options={"allow_http": (endpoint or "").startswith("http://")},
        **more,
    )


def _from_profile() -> dict[str, Any]:
    """Credentials of ~/.aws, where boto3 can read them."""
    try:
        import boto3
    except ImportError:
        return {}
    session = boto3.session.Session()
    if session.get_credentials() is None:
        return {}
    from obstore.auth.boto3 import Boto3CredentialProvider

    return {"credential_provider": Boto3CredentialProvider(session)}


def _short(error: Exception) -> str:
    """The first line of the library's message, without its internals and without secrets."""
    text = str(error).partition("Debug source")[0].strip()
    code = re.search(r"<Code>(\w+)</Code>", text)
    line = text.partition("\n")[0].partition("<?xml")[0].strip()[:300]
    return without_secrets(f"{line} {code[1]}" if code else line)
