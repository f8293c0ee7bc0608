"""Face search that also finds the first and the last frame in which each face is there.

:class:`~fsh.pipeline.faces.search.FaceSearch` searches some frames, and the whole of a frame only
now and then: it sees a face that comes some frames too late. Here the frames since the last one
that was searched as a whole are kept, and where a face has come or gone, the frame in which that
happened is found among them by bisection.
"""

from __future__ import annotations

import numpy as np

from fsh.pipeline.faces.search import FaceSearch, counterparts
from fsh.pipeline.faces.tracking import Detection, SearchedFrame


class AppearanceSearch(FaceSearch):
    """As :class:`FaceSearch`; every appearance of a face begins and ends in its true frame.

    While no face is known, every frame that is searched is searched as a whole: a face that comes
    between two of them is found. Where faces neither come nor go, the result is the same.
    """

    def __init__(self, *args, **settings) -> None:
        super().__init__(*args, **settings)
        #: Time and luma of the frames since the last one that was searched as a whole.
        self._kept: dict[int, tuple[float, np.ndarray]] = {}
        #: The faces of those of them that were searched as a whole.
        self._whole: dict[int, list[Detection]] = {}

    def add_frame(self, luma: np.ndarray, frame: int, time: float) -> None:
        self._kept[frame] = time, luma
        if not self._known:
            self._next_full_search = -float("inf")
        previous = self._last
        super().add_frame(luma, frame, time)
        if frame in self._whole:
            if previous >= 0:
                self._find_changes(previous, frame)
            self._kept = {frame: self._kept[frame]}
            self._whole = {frame: self._whole[frame]}

    def searched(self) -> list[SearchedFrame]:
        """As :meth:`FaceSearch.searched`; call once, at the end.

        The last frame of all counts only if a face has come or gone since the last one searched.
        """
        end = max(self._kept, default=self._last)
        if end != self._last:
            before, after = self._searched[self._last], self._search_whole(end)
            if len(counterparts(before, after)) != max(len(before), len(after)):
                self._searched[end] = after
                self._find_changes(self._last, end)
        return super().searched()

    def _search(self, luma: np.ndarray, frame: int, time: float) -> list[Detection]:
        planned = self._next_full_search
        found = super()._search(luma, frame, time)
        # A search of the whole frame is what moves the time of the next one.
        if self._next_full_search != planned:
            self._whole[frame] = found
        return found

    def _find_changes(self, previous: int, frame: int) -> None:
        """Find where faces came and went since the frame ``previous`` was searched."""
        before, after = self._searched[previous], self._searched[frame]
        same = counterparts(before, after)
        for i, face in enumerate(before):
            if i not in same:
                self._find_end(face, previous, frame)
        for j, face in enumerate(after):
            if j not in same.values():
                self._find_beginning(face, frame)

    def _find_end(self, face: Detection, there: int, gone: int) -> None:
        """Search for the last frame of a face that is in one frame and not in a later one."""
        while gone - there > 1:
            middle = (there + gone) // 2
            if (again := self._search_for(face, middle)) is not None:
                there, face = middle, again
            else:
                gone = middle

    def _find_beginning(self, face: Detection, there: int) -> None:
        """Search for the first frame of a face that a search of a whole frame has found.

        Frames in which only the surroundings of other faces were searched say nothing of it.
        """
        absent, last = max((f for f in self._whole if f < there), default=there), there
        while there - absent > 1:
            middle = (absent + there) // 2
            if (again := self._search_for(face, middle)) is not None:
                there, face = middle, again
            else:
                absent = middle
        for frame in [f for f in self._searched if there < f < last]:
            face = self._search_for(face, frame) or face

    def _search_for(self, face: Detection, frame: int) -> Detection | None:
        """A face in another frame, searched as a whole; what is new there is kept."""
        found = self._search_whole(frame)
        own = self._searched.setdefault(frame, [])
        same = counterparts(own, found)
        own += [new for j, new in enumerate(found) if j not in same.values()]
        match = counterparts([face], found)
        return found[match[0]] if match else None

    def _search_whole(self, frame: int) -> list[Detection]:
        """All faces of a kept frame."""
        if frame not in self._whole:
            time, luma = self._kept[frame]
            self._whole[frame] = self._described(self._detector.detect(luma), luma, frame, time)
        return self._whole[frame]
