"""Moving pictures behind one interface, whether stored as a video or as a folder of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from fsh.pipeline.media.decode import Frame, Region, read_proxy, read_region
from fsh.pipeline.media.pictures import photo_paths, read_photo
from fsh.pipeline.media.probe import probe
from fsh.schemas.errors import FshError


@dataclass(frozen=True)
class VideoFile:
    """A video file; times are those of its frames.

    Attributes:
        size: width and height as a player shows them, pixels.
        expected: number of frames, None if the file does not say.
    """

    path: Path
    size: tuple[int, int]
    expected: int | None

    def luma(self, size: tuple[int, int]) -> Iterator[Frame]:
        """Every frame as uint8 (h, w) luma, scaled to an even ``size`` = (w, h)."""
        for time, pixels in read_proxy(self.path, size):
            yield Frame(time, pixels[: size[1]])

    def region(self, region: Region) -> Iterator[Frame]:
        """A region of every frame at full resolution, uint8 (h, w, 3) RGB."""
        return read_region(self.path, self.size, region)


@dataclass(frozen=True)
class PictureFolder:
    """A folder of pictures of one size, in the order of their names, ``fps`` of them a second."""

    path: Path
    size: tuple[int, int]
    files: tuple[Path, ...]
    fps: float

    @property
    def expected(self) -> int:
        """Number of frames."""
        return len(self.files)

    def luma(self, size: tuple[int, int]) -> Iterator[Frame]:
        """As :meth:`VideoFile.luma`."""
        for time, pixels in self._read():
            small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
            yield Frame(time, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))

    def region(self, region: Region) -> Iterator[Frame]:
        """As :meth:`VideoFile.region`."""
        left, top, right, bottom = region
        for time, pixels in self._read():
            yield Frame(time, pixels[top:bottom, left:right])

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


#: Frames that can be read more than once: small and grey, or a region in colour.
Footage = VideoFile | PictureFolder


def open_footage(path: Path, fps: float) -> Footage:
    """A video, or the pictures of a folder at ``fps`` frames a second.

    Raises:
        FshError: if it is neither.
    """
    if path.is_dir():
        files = tuple(photo_paths(path))
        first = read_photo(files[0])
        return PictureFolder(path, (first.shape[1], first.shape[0]), files, fps)
    facts = probe(path)
    expected = facts.frames or round(facts.duration * facts.fps) or None
    return VideoFile(path, (facts.width, facts.height), expected)
