"""Colours: films say what theirs mean, and any video's are read as they were meant."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from fixture_ffmpeg import binary

from fsh.pipeline.media.color_filters import to_standard
from fsh.pipeline.media.decode import read_region
from fsh.pipeline.media.encode import write_video

COLORS = np.array(
    [[200, 60, 50], [60, 180, 70], [50, 70, 200], [180, 180, 60], [128, 128, 128]], np.uint8
)
HD, SD = (1280, 720), (320, 256)


def bars(size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(COLORS[None], size, interpolation=cv2.INTER_NEAREST)


def read(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The colours of the bars in a video's first frame."""
    picture = next(read_region(path, size, (0, 0, *size))).pixels
    at = ((np.arange(len(COLORS)) + 0.5) * size[0] / len(COLORS)).astype(int)
    return picture[size[1] // 2, at].astype(int)


@pytest.mark.parametrize(("size", "code"), [(HD, 1), (SD, 6)])
@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv", "webm"])
def test_a_film_says_its_colours_and_they_come_back(tmp_path, size, code, kind):
    path = tmp_path / f"film.{kind}"
    write_video(path, [bars(size)] * 2, np.arange(2) / 25)
    with av.open(str(path)) as file:
        context = file.streams.video[0].codec_context
        assert context.colorspace == context.color_primaries == context.color_trc == code
        assert context.color_range == 1
    assert np.abs(read(path, size) - COLORS).max() <= 6


def made(path: Path, size: tuple[int, int], matrix: str, tags: str) -> Path:
    """Bars coded by a matrix, with tags or without."""
    chain = f"scale=out_color_matrix={matrix},format=yuv420p,setparams={tags}"
    command = [binary(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-r", "25"]
    command += ["-s", f"{size[0]}x{size[1]}", "-i", "-", "-vf", chain, "-c:v", "libx264", str(path)]
    subprocess.run(command, input=bars(size).tobytes(), check=True)
    return path


UNSAID = "colorspace=unknown:color_primaries=unknown:color_trc=unknown"


@pytest.mark.parametrize(
    ("size", "matrix", "tags"),
    [
        (HD, "bt709", UNSAID),
        (SD, "bt601", UNSAID),
        (HD, "bt601", "colorspace=smpte170m"),
        (SD, "bt709", "colorspace=bt709"),
    ],
)
def test_the_matrix_is_that_of_the_tags_else_what_players_take(tmp_path, size, matrix, tags):
    assert np.abs(read(made(tmp_path / "a.mp4", size, matrix, tags), size) - COLORS).max() <= 6


def hlg(light: np.ndarray) -> np.ndarray:
    """Light of a scene, 0 to 1, as hybrid log-gamma."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    low = np.sqrt(3 * np.minimum(light, 1 / 12))
    return np.where(light <= 1 / 12, low, a * np.log(np.maximum(12 * light - b, 1e-9)) + c)


@pytest.mark.parametrize("transfer", ["hlg", "pq"])
def test_high_dynamic_range_is_brought_down_without_a_break(transfer):
    greys = np.repeat(np.linspace(0, 1, 200)[:, None], 3, axis=1)
    shown = to_standard(greys, transfer)
    assert shown.min() == 0 and 0.99 < shown.max() <= 1
    assert (np.diff(shown[:, 0]) > -1e-9).all() and np.diff(shown[:, 0]).max() < 0.03
    assert np.ptp(shown, axis=1).max() < 0.01  # grey stays grey


def test_white_paper_and_skin_of_a_phones_film_are_bright_and_warm():
    paper = to_standard(np.full((1, 3), 0.75), "hlg")  # where BT.2408 puts it
    assert 0.85 < paper.min() <= paper.max() < 1
    skin = to_standard(hlg(np.array([[0.16, 0.11, 0.08]])), "hlg")[0]
    assert 0.5 < skin[0] < 0.95 and skin[0] > skin[1] > skin[2]


def test_a_film_of_a_phone_is_not_read_as_if_it_were_standard(tmp_path):
    tags = "colorspace=bt2020nc:color_primaries=bt2020:color_trc=arib-std-b67"
    path = made(tmp_path / "hlg.mp4", SD, "bt2020", tags)
    wanted = 255 * to_standard(COLORS / 255, "hlg")
    assert np.abs(read(path, SD) - wanted).max() <= 12
