"""A propagator's session of a clip with black bars: no mask reaches into a bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from massannot.clip import Frames
from massannot.models.protocols import F32, Bool, FrameMasks, MaskSession


class BetweenBars:
    """A MaskSession that asks another one, and keeps what lies between bars of its masks."""

    def __init__(self, session: MaskSession, frames: Frames) -> None:
        self._session = session
        self._inside = frames.working_area.inside(height=frames.height, width=frames.width)

    def add_box(self, object_id: int, *, frame: int, box_xyxy: F32) -> Bool:
        """See protocols.MaskSession."""
        return self._cut(self._session.add_box(object_id, frame=frame, box_xyxy=box_xyxy))

    def add_mask(self, object_id: int, *, frame: int, mask: Bool) -> None:
        """See protocols.MaskSession."""
        self._session.add_mask(object_id, frame=frame, mask=mask)

    def remove(self, object_id: int) -> None:
        """See protocols.MaskSession."""
        self._session.remove(object_id)

    def propagate(
        self, *, first: int, end: int, objects: Sequence[int] | None = None
    ) -> Iterator[FrameMasks]:
        """See protocols.MaskSession."""
        for found in self._session.propagate(first=first, end=end, objects=objects):
            yield FrameMasks(found.frame, found.objects, self._cut(found.masks), found.score)

    def _cut(self, masks: Bool) -> Bool:
        """Masks (..., H, W); of another shape, which is refused elsewhere, as they are."""
        return masks & self._inside if masks.shape[-2:] == self._inside.shape else masks
