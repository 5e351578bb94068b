"""Judges of free text: a function of yours, or a model behind an OpenAI-style address here.

None is a default: words that two texts share (ROUGE) pay opposites, and a judge is a model whose
scores change with it. An address elsewhere is refused; questions do not leave this machine.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import cast
from urllib.parse import urlsplit

from massannot import plugins
from massannot.errors import UsageError
from massannot.rft.foreign_answers import Judge

_HERE = ("localhost", "127.0.0.1", "::1")
_TIMEOUT_S = 120.0
_REQUEST = """Question: {question}
True answer: {truth}
Given answer: {said}
Does the given answer say the same as the true answer?
Reply with one number from 0 (no) to 1 (yes)."""


def judge(name: str, *, model: str | None = None) -> Judge:
    """From `./mine.py:function`, `package.module:function` or `http://localhost:PORT/v1`, with the
    name of the `model` there. Raises UsageError for anything else."""
    if name.startswith(("http://", "https://")):
        if urlsplit(name).hostname not in _HERE:
            raise UsageError(f"--judge {name}: expected an address of this machine, localhost")
        if model is None:
            raise UsageError(f"--judge {name}: expected --judge-model, the model's name there")
        return _endpoint(name.rstrip("/"), model)
    if not plugins.is_outside(name):
        raise UsageError(f"--judge {name}: expected ./mine.py:function or http://localhost:PORT/v1")
    return _checked(cast(Judge, plugins.outside_object(name, kind="judge")), name)


def _checked(function: Judge, name: str) -> Judge:
    def judged(question: str, truth: str, said: str) -> float:
        score = function(question, truth, said)
        if not (isinstance(score, int | float) and 0 <= score <= 1):
            raise UsageError(f"--judge {name}: found {score!r}, expected a number from 0 to 1")
        return float(score)

    return judged


def _endpoint(address: str, model: str) -> Judge:
    def judged(question: str, truth: str, said: str) -> float:
        content = _REQUEST.format(question=question, truth=truth, said=said)
        body = {
            "model": model,
            "temperature": 0,
            "messages": [{"role": "user", "content": content}],
        }
        request = urllib.request.Request(
            f"{address}/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
                reply = json.load(response)["choices"][0]["message"]["content"]
        except (urllib.error.URLError, OSError, ValueError, LookupError, TypeError) as error:
            raise UsageError(f"--judge {address}: found no reply: {error!r}") from error
        numbers = re.findall(r"(?<![\d.])(?:0(?:\.\d+)?|1(?:\.0+)?)(?![\d.]*\d)", str(reply))
        if len(numbers) != 1:
            raise UsageError(
                f"--judge {address}: found {str(reply)[:80]!r}, expected one number from 0 to 1"
            )
        return float(numbers[0])

    return judged
