"""Moving pictures behind one interface: a video, a picture of several frames, or a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from fsh.pipeline.media.animated_pictures import animated_size, is_animated, read_animated
from fsh.pipeline.media.decode import Frame, read_proxy, read_region
from fsh.pipeline.media.media_kind import PICTURE, media_kind
from fsh.pipeline.media.one_clock import with_one_clock
from fsh.pipeline.media.pictures import photo_paths, read_photo
from fsh.pipeline.media.regions import Region
from fsh.schemas.errors import FshError


@dataclass(frozen=True)
class VideoFile:
    """A video file; times are those of its frames.

    Attributes:
        path: the file, or a temporary copy whose time runs on.
        size: width and height as a player shows them, pixels.
        expected: number of frames, None if the file does not say.
    """

    path: Path
    size: tuple[int, int]
    expected: int | None

    def proxy(self, size: tuple[int, int]) -> Iterator[Frame]:
        """Every frame as uint8 (h · 3 / 2, w) I420, scaled to an even ``size`` = (w, h)."""
        return read_proxy(self.path, size)

    def region(self, region: Region) -> Iterator[Frame]:
        """A region of every frame at full resolution, uint8 (h, w, 3) RGB."""
        return read_region(self.path, self.size, region)


class _RgbFrames:
    """What footage has in common whose frames are read as RGB arrays."""

    def _read(self) -> Iterator[Frame]:
        raise NotImplementedError

    def proxy(self, size: tuple[int, int]) -> Iterator[Frame]:
        """As :meth:`VideoFile.proxy`."""
        for time, pixels in self._read():
            small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
            yield Frame(time, cv2.cvtColor(small, cv2.COLOR_RGB2YUV_I420))

    def region(self, region: Region) -> Iterator[Frame]:
        """As :meth:`VideoFile.region`."""
        left, top, right, bottom = region
        for time, pixels in self._read():
            yield Frame(time, pixels[top:bottom, left:right])


@dataclass(frozen=True)
class AnimatedPicture(_RgbFrames):
    """A picture file of several frames, each with its duration; ``expected`` of them."""

    path: Path
    size: tuple[int, int]
    expected: int

    def _read(self) -> Iterator[Frame]:
        yield from map(Frame._make, read_animated(self.path))


@dataclass(frozen=True)
class PictureFolder(_RgbFrames):
    """A folder of pictures of one size, in the order of their names, ``fps`` of them a second."""

    path: Path
    size: tuple[int, int]
    files: tuple[Path, ...]
    fps: float

    @property
    def expected(self) -> int:
        """Number of frames."""
        return len(self.files)

    def _read(self) -> Iterator[Frame]:
        for number, path in enumerate(self.files):
            pixels = read_photo(path)
            size = pixels.shape[1], pixels.shape[0]
            if size != self.size:
                raise FshError(
                    f"a picture of {size[0]}×{size[1]} among pictures of "
                    f"{self.size[0]}×{self.size[1]}",
                    where=path,
                    remedy="a folder that drives holds the frames of one film, all of one size",
                )
            yield Frame(number / self.fps, pixels)


#: Frames that can be read more than once: small, or a region of the full size.
Footage = VideoFile | AnimatedPicture | PictureFolder


def open_footage(path: Path, fps: float) -> Footage:
    """A video, a picture that moves, or the pictures of a folder at ``fps`` frames a second.

    Raises:
        FshError: if it is nothing of the kind.
    """
    if path.is_dir():
        files = tuple(photo_paths(path))
        first = read_photo(files[0])
        return PictureFolder(path, (first.shape[1], first.shape[0]), files, fps)
    if is_animated(path):
        width, height, count = animated_size(path)
        return AnimatedPicture(path, (width, height), count)
    if media_kind(path) == PICTURE:
        raise FshError(
            "a single picture, in which nothing moves",
            where=path,
            remedy="give a video, an animated GIF or WebP, or a folder of a film's pictures",
        )
    file, facts = with_one_clock(path)
    expected = facts.frames or round(facts.duration * facts.fps) or None
    return VideoFile(file, (facts.width, facts.height), expected)
