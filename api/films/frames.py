"""The pictures of a film: drawn in batches, in a thread of their own, side by side if asked for."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import TypeVar

import cv2
import numpy as np

from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.progress import Progress
from fsh.trainer.person.person import Person

Item = TypeVar("Item")


class Stopwatch:
    """Seconds spent inside its ``with`` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._begun = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.monotonic() - self._begun


def drawn_frames(
    person: Person, faces: FaceLandmarks, stopwatch: Stopwatch, progress: Progress, batch: int = 8
) -> Iterator[np.ndarray]:
    """The person's pictures, uint8 (H, H, 3), one per face, drawn in batches.

    Args:
        faces: without gaps, crop pixels.
        stopwatch: measures the drawing alone.
    """
    chosen = person.choose(faces)
    for start in range(0, len(faces), batch):
        rows = slice(start, start + batch)
        some = None if chosen is None else chosen[rows]
        with stopwatch:
            pictures = person.draw(faces[rows], batch=batch, chosen=some)
        for picture in pictures:
            progress.advance()
            yield picture


def side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Pictures next to each other, scaled to one height; uint8 (H, sum of W, 3)."""
    height = max(256, *(picture.shape[0] for picture in pictures))
    scaled = [
        cv2.resize(p, (round(p.shape[1] * height / p.shape[0]), height), interpolation=3)
        for p in pictures
    ]
    return np.concatenate(scaled, axis=1)


def prefetched(items: Iterator[Item], depth: int = 16) -> Iterator[Item]:
    """The same items, made in a thread of their own, at most ``depth`` before they are wanted.

    Drawing, marking and encoding then overlap. An error comes out where the item would have.
    """
    made: queue.Queue[tuple[bool, object]] = queue.Queue(depth)
    stopped = threading.Event()

    def hand_over(entry: tuple[bool, object]) -> None:
        while not stopped.is_set():
            try:
                made.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in items:
                hand_over((True, item))
                if stopped.is_set():
                    return
        except BaseException as error:  # handed over and raised on the other side
            hand_over((False, error))
        else:
            hand_over((False, None))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        while True:
            more, value = made.get()
            if more:
                yield value  # type: ignore[misc]
            elif value is None:
                return
            else:
                raise value  # type: ignore[misc]
    finally:
        stopped.set()
        worker.join()
