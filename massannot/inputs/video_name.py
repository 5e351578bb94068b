"""Video names: which endings are a video's, and which names no file can have."""

from __future__ import annotations

import errno
import os

from massannot.errors import ImpossibleName
from massannot.inputs.text import escaped, is_unicode
from massannot.storage.store import IN_TAR, is_remote

_ENDINGS = "3gp avi flv gif m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts webm wmv y4m"
VIDEO_ENDINGS = frozenset(f".{ending}" for ending in _ENDINGS.split(" "))
USUAL_BYTES = 255
"""Longest part of a path on usual file systems; a longer one is tried before it is refused."""
KEY_BYTES = 1024
"""Longest name in a bucket (S3, Google Cloud Storage)."""


def is_video_name(name: str) -> bool:
    """By its ending, in any case; hidden files are none."""
    base = name.rpartition("/")[2]
    return not base.startswith(".") and f".{base.rpartition('.')[2]}".lower() in VIDEO_ENDINGS


def refuse_impossible_name(uri: str) -> None:
    """Raises ImpossibleName for the address of a video that no file system or bucket can hold, or
    no table."""
    if not is_unicode(uri):
        raise _impossible(uri, "bytes that are no UTF-8, or half a surrogate pair")
    if "\0" in uri:
        raise _impossible(uri, "the character NUL")
    file = uri.partition(IN_TAR)[0]
    if is_remote(file):
        key = "/".join(file.split("/")[3:])
        if len(key.encode()) > KEY_BYTES:
            raise _impossible(uri, f"{len(key.encode())} bytes, expected at most {KEY_BYTES}")
    elif len(uri) > USUAL_BYTES // 4:  # a character has at most four bytes
        _refuse_too_long(uri, file)


def _refuse_too_long(uri: str, path: str) -> None:
    longest = max(len(part.encode()) for part in path.split("/"))
    if longest <= USUAL_BYTES and len(path.encode()) < 4 * KEY_BYTES:
        return
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            what = f"a part of {longest} bytes in {len(path.encode())}, too long for this machine"
            raise _impossible(uri, what) from None


def _impossible(uri: str, what: str) -> ImpossibleName:
    shown = escaped(uri.rpartition("/")[2]).replace("\0", "\\0")
    if len(shown) > 120:
        shown = f"{shown[:60]}...{shown[-50:]}"
    return ImpossibleName(f"{shown}: found a name with {what}; no file is called so")
