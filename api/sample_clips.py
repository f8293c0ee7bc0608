"""Sample clips for the demo and the tests: one public-domain portrait, made to move and talk.

The portrait is NASA's of Eileen Collins, which scikit-image ships. It is warped into several
pseudo-identities (face shape, colours, mirrored), moved, turned, made to blink and to open its
mouth in time with a synthetic voice. Nothing is downloaded and nothing of it is in the repository.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import cv2
import ffmpeg
import numpy as np

from fsh.pipeline.media.ffmpeg import binary, file_url
from fsh.schemas.errors import FshError
from fsh.schemas.places.folder_kinds import LITTER, FolderKind
from fsh.schemas.places.layout import output_lock
from fsh.schemas.places.outputs import require_own_folder
from fsh.schemas.progress import Progress

FPS = 25
SIDE = 400  # of the clips, pixels
_RATE = 16_000  # of the voice, hertz

# Where things are in the portrait, in its own pixels (512 × 512).
_FACE = (224.0, 128.0)
_EYES = ((203.0, 102.0), (247.0, 104.0))
#: Where lower lip and upper teeth touch: corner of the mouth, middle, other corner.
_LIPS = np.array([(203.0, 140.5), (223.0, 149.6), (244.0, 141.5)])
#: The inside of a mouth, RGB; and by how much the jaw drops at most, pixels.
_INSIDE, _DROP = np.array([58, 20, 22]), 15.0
_VIEW = (74, 0, 300)  # left, top, side of the part that is shown
_WORK = (slice(0, 330), slice(40, 410))  # rows and columns that the camera can ever see


@dataclass(frozen=True)
class PseudoIdentity:
    """What makes a pseudo-identity: shape as shares of the face, colour as factors per channel."""

    name: str
    width: float = 0.0
    jaw: float = 0.0
    eyes: float = 0.0
    length: float = 0.0
    mirrored: bool = False
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0
    hair: float = 1.0


IDENTITIES = (
    PseudoIdentity("ada"),
    PseudoIdentity("bea", width=-0.22, jaw=0.10, mirrored=True, tint=(0.95, 0.97, 1.12), hair=0.55),
    PseudoIdentity(
        "cyd", width=0.22, jaw=-0.18, eyes=0.06, tint=(0.82, 0.72, 0.66), gamma=1.35, hair=0.4
    ),
    PseudoIdentity(
        "dot", length=0.20, eyes=-0.06, mirrored=True, tint=(1.05, 0.93, 0.84), hair=1.25
    ),
    PseudoIdentity("eve", width=0.12, length=-0.14, jaw=0.16, tint=(0.90, 1.02, 0.92), gamma=0.85),
    PseudoIdentity(
        "fay", width=-0.12, jaw=-0.2, eyes=0.08, tint=(0.70, 0.60, 0.55), gamma=1.5, hair=0.3
    ),
)

_NAMES = (*(f"{one.name}_{take}" for one in IDENTITIES for take in (0, 1)), "driving")
_CLIPS = (*(f"{name}.{end}" for name in _NAMES for end in ("mp4", "wav")), "photos/gil_*.jpg")
_CLIPS = (*_CLIPS, "two_shots.mp4", "no_face.mp4")
#: What :func:`make_demo_clips` makes; the list of them comes last.
DEMO_CLIPS = FolderKind("the demo's clips", _CLIPS, {}, _CLIPS, replaced=False)


def _bump(x: np.ndarray, y: np.ndarray, at: tuple[float, float], rx: float, ry: float):
    """A Gaussian hill of height 1 at a point, float32."""
    return np.exp(-(((x - at[0]) / rx) ** 2) - ((y - at[1]) / ry) ** 2).astype(np.float32)


def _shape(identity: PseudoIdentity, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By how much the pseudo-identity's face at these places lies beside the portrait's, pixels."""
    face, jaw = _bump(x, y, _FACE, 62, 72), _bump(x, y, (224, 160), 52, 30)
    dx = (x - _FACE[0]) * (identity.width * face + identity.jaw * jaw)
    dy = (y - _FACE[1]) * identity.length * face
    for eye, side in zip(_EYES, (-1, 1), strict=True):
        dx += side * 60 * identity.eyes * _bump(x, y, eye, 22, 18)
    return dx, dy


def _lips(identity: PseudoIdentity) -> np.ndarray:
    """:data:`_LIPS` of the pseudo-identity, float64 (3, 2)."""
    lips = _LIPS.copy()
    for _ in range(20):
        lips = _LIPS + np.stack(_shape(identity, *lips.T), axis=1)
    return lips


def _portrait(identity: PseudoIdentity) -> np.ndarray:
    """The portrait as this pseudo-identity, uint8 (512, 512, 3) RGB."""
    from skimage import data

    image = data.astronaut()
    y, x = np.mgrid[0:512, 0:512].astype(np.float32)
    dx, dy = _shape(identity, x, y)
    fields = (x - dx).astype(np.float32), (y - dy).astype(np.float32)
    image = cv2.remap(image, *fields, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    coloured = 255 * (image / 255.0) ** identity.gamma * np.array(identity.tint)
    hair = np.clip(_bump(x, y, (224, 75), 85, 55) - 1.2 * _bump(x, y, (224, 128), 48, 48), 0, 1)
    coloured *= 1 + (identity.hair - 1) * hair[..., None]
    return coloured.clip(0, 255).astype(np.uint8)


def voice(seconds: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A synthetic voice.

    Returns:
        float32 samples in -1..1 at 16 kHz, and the mouth's opening 0..1 per video frame.
    """
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * _RATE)) / _RATE
    syllables = np.cumsum(rng.uniform(0.16, 0.34, size=round(seconds / 0.16) + 2))
    loudness = rng.uniform(0.35, 1.0, len(syllables)) * (rng.random(len(syllables)) > 0.12)
    index = np.searchsorted(syllables, time)
    start = np.concatenate([[0.0], syllables])[index]
    phase = (time - start) / (syllables[index] - start)
    opening = loudness[index] * np.sin(np.pi * phase) ** 2
    pitch = 2 * np.pi * np.cumsum(170 + 25 * np.sin(2 * np.pi * 0.7 * time)) / _RATE
    tone = sum(np.sin(k * pitch) / k for k in range(1, 9))
    frames = np.clip((np.arange(round(seconds * FPS)) * _RATE) // FPS, 0, len(time) - 1)
    return (0.2 * opening * tone).astype(np.float32), opening[frames].astype(np.float32)


def talking_frames(
    identity: PseudoIdentity, opening: np.ndarray, seed: int
) -> Iterator[np.ndarray]:
    """The pseudo-identity talking: one uint8 (SIDE, SIDE, 3) RGB frame per opening value."""
    rng = np.random.default_rng(seed)
    portrait = _portrait(identity)[_WORK]
    y, x = np.mgrid[_WORK].astype(np.float32)
    row, column = _WORK[0].start, _WORK[1].start
    head = _bump(x, y, (224, 110), 95, 95)
    depth = _bump(x, y, (224, 135), 42, 48)
    lips = _lips(identity)
    lids = sum(_bump(x, y, (ex, ey - 3), 15, 7) for ex, ey in _EYES)
    rates, phases = rng.uniform(0.15, 0.45, 5), rng.uniform(0, 2 * np.pi, 5)
    blinks = set(rng.choice(len(opening), max(1, len(opening) // 60), replace=False).tolist())
    for number, mouth in enumerate(opening):
        roll, yaw, pitch, sway, zoom = np.sin(2 * np.pi * rates * number / FPS + phases)
        blink = 6.0 if any(abs(number - b) <= 1 for b in blinks) else 0.0
        map_x = x - 5 * yaw * head - 9 * yaw * depth
        map_y = y - 3 * pitch * head - 6 * pitch * depth - blink * lids
        dropped, inside = _jaw(map_x, map_y, lips, _DROP * float(mouth))
        fields = (map_x - column).astype(np.float32), (map_y - dropped - row).astype(np.float32)
        picture = cv2.remap(portrait, *fields, cv2.INTER_LINEAR)
        picture = (picture * (1 - inside) + _INSIDE * inside).astype(np.uint8)
        picture = _camera(picture, 7 * roll, 8 * sway, 1.0 + 0.05 * zoom)
        yield np.ascontiguousarray(picture[:, ::-1]) if identity.mirrored else picture


def _jaw(
    x: np.ndarray, y: np.ndarray, lips: np.ndarray, drop: float
) -> tuple[np.ndarray, np.ndarray]:
    """A jaw that drops: upper lip and teeth stay, lower lip and chin go down, between is a gap.

    Args:
        x, y: places in the face as it is without that, pixels.
        lips: see :data:`_LIPS`.
        drop: pixels.

    Returns:
        By how much what is shown at each place has come down, and 0 to 1: how much of the mouth's
        inside is seen there (H, W, 1).
    """
    (left, corner), (_, middle), (right, other) = lips
    across = (x - (left + right) / 2) / ((right - left) / 2)  # -1 and 1 at the corners
    arch = np.clip(1 - across**2, 0, 1)
    line = corner + (other - corner) * (across + 1) / 2
    line = line + (middle - (corner + other) / 2) * arch
    gap = drop * np.sqrt(arch)
    jaw = drop * np.exp(-((across / 1.7) ** 2) - (np.clip(y - 165, 0, None) / 42) ** 2)
    depth = y - line - gap  # below the lower lip's upper edge
    dropped = np.where(depth > 0, gap + (jaw - gap) * np.clip(depth / 14, 0, 1), 0)
    inside = np.clip(y - line + 0.5, 0, 1) * np.clip(0.5 - depth, 0, 1) * (gap > 1)
    return dropped, inside[..., None]


def _camera(picture: np.ndarray, roll: float, sway: float, zoom: float) -> np.ndarray:
    """Turn, move and zoom the camera; keep the part that is shown."""
    left, top, side = _VIEW[0] - _WORK[1].start, _VIEW[1] - _WORK[0].start, _VIEW[2]
    pivot = left + side / 2, top + side * 0.7
    matrix = cv2.getRotationMatrix2D(pivot, roll, zoom * SIDE / side)
    matrix[:, 2] += SIDE / 2 - pivot[0] + sway, SIDE * 0.7 - pivot[1]
    size, edge = (SIDE, SIDE), cv2.BORDER_REPLICATE
    return cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=edge)


def faceless_frames(count: int) -> Iterator[np.ndarray]:
    """A pan over the part of the portrait that shows the model rocket, and nobody."""
    from skimage import data

    rocket = data.astronaut()[20:270, 330:512]
    for number in range(count):
        top = number * 60 // max(1, count)
        part = rocket[top : top + 182]
        yield cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def write_clip(path: Path, pictures: Iterator[np.ndarray], sound: np.ndarray | None) -> None:
    """Encode RGB frames as H.264 at 25 frames per second, with AAC sound if there is any."""
    raw = {"format": "rawvideo", "pix_fmt": "rgb24", "s": f"{SIDE}x{SIDE}", "framerate": FPS}
    inputs = [ffmpeg.input("pipe:", **raw)]
    wav = path.with_suffix(".wav")
    if sound is not None:
        with wave.open(str(wav), "wb") as file:
            file.setparams((1, 2, _RATE, 0, "NONE", ""))
            file.writeframes((sound.clip(-1, 1) * 32767).astype("<i2").tobytes())
        inputs.append(ffmpeg.input(file_url(wav)))
    options = {"vcodec": "libx264", "pix_fmt": "yuv420p", "crf": 18, "g": 50}
    options |= {"preset": "veryfast", "acodec": "aac"}
    command = ffmpeg.output(*inputs, file_url(path), **options).overwrite_output()
    command = command.global_args("-hide_banner", "-nostats", "-loglevel", "error")
    process = command.run_async(cmd=binary(), pipe_stdin=True)
    for picture in pictures:
        process.stdin.write(np.ascontiguousarray(picture).tobytes())
    process.stdin.close()
    if process.wait():
        raise RuntimeError(f"ffmpeg could not write {path}")
    wav.unlink(missing_ok=True)


def require_demo_folder(folder: Path) -> None:
    """Check that the demo may work here: in a new or empty folder, or in one of its own.

    Raises:
        FshError: if the folder holds something else, or cannot be written.
    """
    listing = folder / "clips" / "urls.csv"
    if listing.is_file() and listing.read_bytes().startswith(b"url,identity\nada_0.mp4,ada\n"):
        return
    require_own_folder(folder / "clips", DEMO_CLIPS)
    if not folder.is_dir():
        return
    own = {"clips", output_lock(folder / "clips").name, *LITTER}
    if foreign := {path.name for path in folder.iterdir()} - own:
        raise FshError(
            f"holds {min(foreign)}, and so is no demo's folder: left as it is",
            where=folder,
            remedy="name a new folder",
        )


def make_demo_clips(folder: Path, progress: Progress, *, seconds: float = 4.0) -> Path:
    """Write the demo clips, the photos to personalise from, and the list that names the clips.

    ``ada`` … ``fay`` talk in two clips each, one file has two shots, one has no face. The last
    pseudo-identity, ``gil``, is in no list: its photos and the driving clip are for trying out.

    Returns:
        The list, ``folder/urls.csv`` (url, identity).
    """
    folder.mkdir(parents=True, exist_ok=True)
    photos = folder / "photos"
    photos.mkdir(exist_ok=True)
    stranger = PseudoIdentity(
        "gil", width=0.08, jaw=0.12, length=0.1, tint=(1.08, 0.96, 0.9), hair=0.7
    )
    lines = ["url,identity"]
    progress.start("making clips", 2 * len(IDENTITIES) + 4, "clip")
    for number, identity in enumerate(IDENTITIES):
        for take in range(2):
            name = f"{identity.name}_{take}.mp4"
            sound, opening = voice(seconds, seed=10 * number + take)
            pictures = talking_frames(identity, opening, seed=10 * number + take)
            write_clip(folder / name, pictures, sound)
            lines.append(f"{name},{identity.name}")
            progress.advance()
    _, opening = voice(seconds / 2, seed=98)
    shots = chain.from_iterable(talking_frames(one, opening, seed=99) for one in IDENTITIES[:2])
    write_clip(folder / "two_shots.mp4", shots, None)
    lines.append("two_shots.mp4,")
    progress.advance()
    write_clip(folder / "no_face.mp4", faceless_frames(round(seconds * FPS / 2)), None)
    lines.append("no_face.mp4,")
    progress.advance()
    sound, opening = voice(seconds, seed=77)
    write_clip(folder / "driving.mp4", talking_frames(IDENTITIES[3], opening, seed=78), sound)
    progress.advance()
    for number, picture in enumerate(talking_frames(stranger, voice(8, seed=5)[1], seed=6)):
        if number % 25 == 12:
            _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            (photos / f"gil_{number // 25}.jpg").write_bytes(jpeg.tobytes())
    progress.advance()
    progress.stop()
    listing = folder / "urls.csv"
    listing.write_text("\n".join(lines) + "\n")
    return listing
