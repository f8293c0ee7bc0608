"""Any video's colours as standard RGB, by ffmpeg's filters.

Phones film in high dynamic range (HLG, PQ) and wide colours (BT.2020). Read as if they were
standard ones, faces come out grey. They are mapped by a table that is computed here, because only
some builds of ffmpeg have a filter for that.
"""

from __future__ import annotations

import functools
from pathlib import Path

import ffmpeg
import numpy as np

from fsh.pipeline.media.color_tags import ColorReading
from fsh.schemas.places.temporary import lasting_scratch_folder

#: Points of the table along each side.
_POINTS = 33
#: Luminance of white paper and of the brightest light, cd/m² (ITU-R BT.2408, BT.2100).
_WHITE, _PEAK = 203.0, 1000.0
#: What is darker than this share of white is not changed by the mapping of lights.
_KNEE = 0.7
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)


def as_standard(
    stream: ffmpeg.Stream, size: tuple[int, int], colors: ColorReading
) -> ffmpeg.Stream:
    """Frames scaled to a size, as RGB of BT.709 and standard range of brightness."""
    if not colors.transfer:
        matrix = {"in_color_matrix": colors.matrix} if colors.matrix else {}
        return stream.filter("scale", *size, **matrix)
    wide = stream.filter("scale", *size, in_color_matrix="bt2020").filter("format", "rgb48le")
    return wide.filter("lut3d", _table(colors.transfer), interp="tetrahedral")


@functools.cache
def _folder() -> Path:
    """Where the tables are, as long as this process lives."""
    return lasting_scratch_folder("colors")


@functools.cache
def _table(transfer: str) -> str:
    """The path of the table for a transfer function, as a ``.cube`` file."""
    steps = np.linspace(0, 1, _POINTS)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")  # red changes fastest
    rows = to_standard(np.stack([red, green, blue], axis=-1).reshape(-1, 3), transfer)
    path = _folder() / f"{transfer}.cube"
    lines = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in rows)
    path.write_text(f"LUT_3D_SIZE {_POINTS}\n{lines}\n")
    return str(path)


def to_standard(values: np.ndarray, transfer: str) -> np.ndarray:
    """Colours in high dynamic range of BT.2020 as standard ones of BT.709.

    Args:
        values: float (n, 3), RGB, 0 to 1.
        transfer: ``pq`` or ``hlg``.

    Returns:
        float64 (n, 3), RGB, 0 to 1.
    """
    light = (_from_pq(values) if transfer == "pq" else _from_hlg(values)) / _WHITE
    brightest = light.max(axis=1, keepdims=True)
    light *= _compressed(brightest) / np.maximum(brightest, 1e-9)
    return np.clip(light @ _TO_BT709.T, 0, 1) ** (1 / 2.4)


def _compressed(light: np.ndarray) -> np.ndarray:
    """Light relative to white as what a standard screen shows: 1 for the brightest."""
    most = _PEAK / _WHITE
    room = 1 - _KNEE
    over = np.maximum(light - _KNEE, 0) / room
    # A curve that goes on at the knee's slope and ends at 1.
    end = (most - _KNEE) / room
    bent = over * (1 + over / end**2) / (1 + over)
    return np.where(light <= _KNEE, light, np.minimum(_KNEE + room * bent, 1.0))


def _from_pq(values: np.ndarray) -> np.ndarray:
    """The perceptual quantizer of SMPTE ST 2084: cd/m²."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = np.asarray(values, np.float64) ** (1 / m2)
    return 10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)


def _from_hlg(values: np.ndarray) -> np.ndarray:
    """Hybrid log-gamma of ITU-R BT.2100, on a screen of 1000 cd/m²: cd/m²."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    values = np.asarray(values, np.float64)
    scene = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    return _PEAK * scene * (np.maximum(luminance, 1e-9) ** 0.2)[:, None]
