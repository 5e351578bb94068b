"""A safetensors file written and read with numpy alone: eight bytes of length, a JSON header of
names, types, shapes and places, then the numbers (https://huggingface.co/docs/safetensors).

Equal arrays give equal bytes: arrays lie in the order of their names, and so does the header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from massannot.errors import UsageError
from massannot.storage.durable import write_over

Array = npt.NDArray[Any]
_TYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}


def write_safetensors(path: Path, arrays: Mapping[str, Array], *, about: Mapping[str, str]) -> None:
    """Write the file whole or not at all; `about`: texts that any reader finds beside the arrays.
    Raises ValueError for a type that has no name here."""
    header: dict[str, Any] = {"__metadata__": dict(sorted(about.items()))}
    parts, end = [], 0
    for name, array in sorted(arrays.items()):
        little = np.ascontiguousarray(array)
        if little.dtype not in _NAMES:
            raise ValueError(f"{name}: found {array.dtype}, expected one of {', '.join(_TYPES)}")
        begin, end = end, end + little.nbytes
        header[name] = {
            "dtype": _NAMES[little.dtype],
            "shape": list(little.shape),
            "data_offsets": [begin, end],
        }
        parts.append(little.tobytes())
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write_over(path, len(text).to_bytes(8, "little") + text + b"".join(parts))


def read_safetensors(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """(arrays, texts). Raises UsageError for a file of another kind, or one that was cut."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8:start])
        about = header.pop("__metadata__", {})
        arrays = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            dtype = _TYPES[entry["dtype"]]
            numbers = np.frombuffer(content[start + begin : start + end], dtype)
            arrays[name] = numbers.reshape(entry["shape"])
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UsageError(f"{path}: found no whole safetensors file: {error}") from error
    return arrays, about
