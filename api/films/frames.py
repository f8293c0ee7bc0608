"""The pictures of a film: drawn in batches, in threads of their own, side by side if asked for."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2
import numpy as np

from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.progress import Progress
from fsh.threads import drawn_at_once
from fsh.trainer.person.person import Person

Item = TypeVar("Item")


class Stopwatch:
    """Seconds in which at least one thread was inside its ``with`` blocks."""

    def __init__(self) -> None:
        self.seconds, self._inside, self._begun = 0.0, 0, 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._begun = time.monotonic()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self.seconds += time.monotonic() - self._begun


def drawn_frames(
    person: Person, faces: FaceLandmarks, stopwatch: Stopwatch, progress: Progress, batch: int = 8
) -> Iterator[np.ndarray]:
    """The person's pictures, uint8 (H, H, 3), one per face, drawn in batches.

    As many batches are drawn at once as leave PyTorch's threads a core each: what is drawn of small
    networks are short operations, which more threads of PyTorch's do not make shorter.

    Args:
        faces: without gaps, crop pixels.
        stopwatch: measures the drawing alone.
    """
    chosen = person.choose(faces)

    def draw(start: int) -> np.ndarray:
        rows = slice(start, start + batch)
        some = None if chosen is None else chosen[rows]
        with stopwatch:
            return person.draw(faces[rows], batch=batch, chosen=some)

    count = drawn_at_once()
    with ThreadPoolExecutor(count) as pool:
        for pictures in _in_order(pool, draw, range(0, len(faces), batch), count + 1):
            for picture in pictures:
                progress.advance()
                yield picture


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[int], Item], over: Iterable[int], ahead: int
) -> Iterator[Item]:
    """What ``work`` gives for each, in order; at most ``ahead`` are begun before one is wanted."""
    begun: deque[Future[Item]] = deque()
    try:
        for one in over:
            begun.append(pool.submit(work, one))
            if len(begun) == ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()


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
