"""Touches: who touches what, from when until when, as the simulation goes along.

Unusual: a touch may pause for a few steps. A box that slides on its floor loses it again and again
for a step or two; only a pause of GAP_S ends a touch.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from massannot.scenes.contacts import ROOM, Contact, ContactKind
from massannot.scenes.shapes import Floats

GAP_S = 0.08
_STEP_S = 0.01  # longer than any step of the simulation


@dataclass(frozen=True)
class Touch:
    """Two bodies, or a body and the room (`second` None), touch."""

    kind: ContactKind
    first: int
    second: int | None
    begin_s: float
    end_s: float | None
    """None: until the end of the clip."""
    normal: Floats
    """(3,) at the beginning, from second to first, room frame."""
    approach_m_s: float
    depart_m_s: float
    """Speed along the normal at which they part, after the last impulse; 0: they do not."""

    @property
    def bodies(self) -> tuple[int, ...]:
        return (self.first,) if self.second is None else (self.first, self.second)


@dataclass
class _Open:
    contact: Contact
    begin_s: float
    last_s: float
    approach_m_s: float
    depart_m_s: float = 0.0


@dataclass
class TouchLog:
    """Fills up with every step."""

    _open: dict[tuple[str, int, int], _Open] = field(default_factory=dict)
    _over: list[_Open] = field(default_factory=list)

    def note(self, contact: Contact, *, t_s: float, approach_m_s: float) -> None:
        """A contact of this step, before its impulse."""
        key = (contact.kind, contact.first, contact.second)
        known = self._open.get(key)
        if known is None or t_s - known.last_s >= GAP_S:
            if known is not None:
                self._over.append(known)
            begin_s = t_s - contact.depth_m / approach_m_s if approach_m_s > 0.1 else t_s
            self._open[key] = known = _Open(contact, max(0.0, begin_s), t_s, approach_m_s)
        known.last_s = t_s

    def parted(self, contact: Contact, speed_m_s: float) -> None:
        """How fast the bodies of a noted contact part after its impulse."""
        key = (contact.kind, contact.first, contact.second)
        self._open[key].depart_m_s = max(speed_m_s, 0.0)

    def sleep(self, asleep: NDArray[np.bool_], *, t_s: float) -> None:
        """Bodies that sleep go on touching what they touched, though nobody looks."""
        for (_, first, second), known in self._open.items():
            if asleep[first] and (second == ROOM or asleep[second]) and known.last_s > t_s - GAP_S:
                known.last_s = t_s

    def touches(self, *, t_s: float) -> tuple[Touch, ...]:
        """All touches up to the end of the clip, in order of time."""
        rows = sorted((*self._over, *self._open.values()), key=lambda row: row.begin_s)
        return tuple(
            Touch(
                row.contact.kind,
                row.contact.first,
                None if row.contact.second == ROOM else row.contact.second,
                row.begin_s,
                row.last_s if t_s - row.last_s > _STEP_S else None,
                row.contact.normal,
                row.approach_m_s,
                row.depart_m_s,
            )
            for row in rows
        )
