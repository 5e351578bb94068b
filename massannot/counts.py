"""How many of a thing, for people: the only place that makes plurals."""

from __future__ import annotations


def counted(n: int, thing: str, *, many: str | None = None, form: str = "") -> str:
    """'1 clip', '2 clips', '0 entities'. `thing` in the singular, with words before it ('moving
    clip'); `many`: its plural where that is not regular, or stands before other words ('rows of
    manifests'). `form`: of the number, ',' for groups of three digits."""
    return f"{n:{form}} {thing if n == 1 else many or _plural(thing)}"


def _plural(thing: str) -> str:
    if thing.endswith("y") and thing[-2:-1] not in "aeiou":
        return f"{thing[:-1]}ies"
    return thing + ("es" if thing.endswith(("s", "x", "z", "ch", "sh")) else "s")
