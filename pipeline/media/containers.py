"""The formats in which films are written, and which of them a name asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fsh.schemas.errors import FshError


@dataclass(frozen=True)
class FilmFormat:
    """A container, and what goes into it.

    Attributes:
        name: as in the file name's ending, without the dot.
        muxer: libavformat's name.
        video: video encoders, the first that is there is taken.
        copied: sound codecs that are copied unchanged.
        sound: the sound encoder for all others; empty if the format has no sound.
        options: the muxer's.
    """

    name: str
    muxer: str
    video: tuple[str, ...]
    copied: frozenset[str] = frozenset()
    sound: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """The file name's ending; empty for a folder of pictures."""
        return "" if self.name == PICTURES else f".{self.name}"


#: The name of the format that is a folder of PNG pictures.
PICTURES = "png"
_COMMON_SOUND = frozenset({"aac", "mp3", "mp3float", "ac3", "eac3", "alac"})
_PCM = frozenset(f"pcm_{kind}" for kind in ("s16le", "s24le", "s32le", "f32le", "s16be", "s24be"))
# The offset of the first frame is stored on the movie's clock, which by default ticks in
# milliseconds.
_MOVIE_CLOCK = {"movie_timescale": "90000"}
_VP9_OR_AV1 = ("libvpx-vp9", "libsvtav1", "libaom-av1")

FORMATS: Mapping[str, FilmFormat] = {
    one.name: one
    for one in (
        FilmFormat(
            "mp4", "mp4", ("libx264",), _COMMON_SOUND | {"opus"}, "aac", options=_MOVIE_CLOCK
        ),
        FilmFormat("mov", "mov", ("libx264",), _COMMON_SOUND | _PCM, "aac", options=_MOVIE_CLOCK),
        FilmFormat(
            "mkv",
            "matroska",
            ("libx264",),
            _COMMON_SOUND | _PCM | {"opus", "libopus", "vorbis", "flac", "dca"},
            "aac",
        ),
        FilmFormat("webm", "webm", _VP9_OR_AV1, frozenset({"opus", "vorbis"}), "libopus"),
        FilmFormat("gif", "gif", ("gif",), options={"loop": "0"}),
        FilmFormat(PICTURES, "", ("png",)),
    )
}
#: Endings of films' names, and of single pictures'.
SUFFIXES = frozenset(f".{name}" for name in FORMATS)
POSSIBLE = (
    "end it in .mp4, .mov, .mkv, .webm or .gif, or give a folder for PNG pictures with "
    f"`--format {PICTURES}`"
)


def film_format(output: Path, wanted: str | None = None) -> FilmFormat:
    """The format that a film's name asks for.

    Args:
        output: the film; its ending decides.
        wanted: a name of :data:`FORMATS`, with which the ending must agree.

    Raises:
        FshError: if there is no such format, the ending is another's, or it has none.
    """
    named = FORMATS.get(output.suffix.lower().removeprefix("."))
    if wanted is None:
        if named is None or named.name == PICTURES:
            raise FshError("no film is written under such a name", where=output, remedy=POSSIBLE)
        return named
    asked = format_named(wanted)
    if asked.name == PICTURES:
        if output.suffix.lower() in SUFFIXES:
            raise FshError(
                "names a file, and PNG pictures go into a folder",
                where=output,
                remedy=f"leave out {output.suffix}, or --format",
            )
    elif asked != named:
        raise FshError(
            f"does not end in {asked.suffix}, and --format is {asked.name}",
            where=output,
            remedy=f"name it {output.with_suffix('').name}{asked.suffix}, or leave out --format",
        )
    return asked


def format_named(name: str) -> FilmFormat:
    """A format by its name; raises FshError if there is none."""
    if name.lower() not in FORMATS:
        raise FshError(
            f"no such format: {name!r}", where="--format", remedy=f"one of {', '.join(FORMATS)}"
        )
    return FORMATS[name.lower()]
