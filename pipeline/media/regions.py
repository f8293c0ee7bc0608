"""Parts of a frame."""

from __future__ import annotations

from collections.abc import Sequence

#: Part of a frame: left, top, right, bottom edges in pixels.
Region = tuple[int, int, int, int]


def enclosing_region(windows: Sequence[tuple[int, int, int]], size: tuple[int, int]) -> Region:
    """The smallest region of a frame that holds all crop windows (left, top, side).

    Left and top are even, so that subsampled chroma is not shifted. For a window wholly outside
    the frame the region includes the nearest edge.

    Args:
        size: the frame's width and height.
    """
    width, height = size
    left = min(max(0, min(w[0] for w in windows)), width - 2) // 2 * 2
    top = min(max(0, min(w[1] for w in windows)), height - 2) // 2 * 2
    right = max(left + 2, min(width, max(w[0] + w[2] for w in windows)))
    bottom = max(top + 2, min(height, max(w[1] + w[2] for w in windows)))
    return left, top, right, bottom
