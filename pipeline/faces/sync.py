"""Whether a mouth moves with a voice, and how much earlier or later the voice comes.

The chin and the lips go down and up with each syllable, and so does the voice's loudness. The two
are correlated at every lag up to two seconds: a voice that belongs to the face stands out near lag
zero. Measured in ``tests/benchmarks/sync.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import butter, sosfiltfilt

from fsh.pipeline.media.voice import LOUDNESS_RATE
from fsh.schemas.faces.landmarks import CHIN, EYE_CORNERS

#: Syllables and what makes them: Hz that are compared.
_BAND = (2.0, 9.0)
#: Fewer frames per second cannot show them.
_LEAST_FPS = 12.0
#: Fewer seconds say nothing.
_LEAST_SECONDS = 1.5
#: Lags in seconds: where the voice is looked for, and how far the noise is measured.
NEAR, FAR = 0.4, 2.0
#: Upper and lower points of the outer lip, and the base of the nose above the chin.
_UPPER, _LOWER, _NOSE = np.array([50, 51, 52]), np.array([58, 57, 56]), 33


class Synchrony(NamedTuple):
    """How a face and a voice go together.

    Attributes:
        offset: seconds by which the sound comes after the mouth; negative: before.
        confidence: the correlation there, in standard deviations of those at other lags.
    """

    offset: float
    confidence: float


def synchrony(points: np.ndarray, times: np.ndarray, loudness: np.ndarray) -> Synchrony | None:
    """Compare a face's landmarks with the loudness of the voice.

    Args:
        points: (n, 68, 2), landmarks of a clip.
        times: (n,), their seconds.
        loudness: :func:`~fsh.pipeline.media.voice.voice_loudness` from :data:`FAR` seconds before
            the first frame until :data:`FAR` seconds after the last.

    Returns:
        None if the clip is too short, has too few frames per second, or is silent.
    """
    if len(times) < 2 or times[-1] - times[0] < _LEAST_SECONDS:
        return None
    fps = (len(times) - 1) / (times[-1] - times[0])
    if fps < _LEAST_FPS:
        return None
    clock = np.arange(times[0], times[-1], 1 / LOUDNESS_RATE)
    high = min(_BAND[1], 0.45 * fps)
    band = butter(2, (_BAND[0], high), "bandpass", fs=LOUDNESS_RATE, output="sos")
    reach = round(FAR * LOUDNESS_RATE)
    sound = loudness[: len(clock) + 2 * reach]
    if len(sound) < len(clock) + 2 * reach:
        sound = np.pad(sound, (0, len(clock) + 2 * reach - len(sound)))
    windows = _standardised(sliding_window_view(sosfiltfilt(band, sound), len(clock)))
    motions = mouth_motions(points)
    mouth = [sosfiltfilt(band, np.interp(clock, times, motion)) for motion in motions]
    likeness = windows @ _standardised(np.array(mouth)).mean(axis=0) / len(clock)
    lags = np.arange(-reach, reach + 1) / LOUDNESS_RATE
    near = np.abs(lags) <= NEAR
    noise = float(likeness[~near].std())
    if noise < 1e-6:
        return None
    best = int(np.where(near, likeness, -np.inf).argmax())
    return Synchrony(float(lags[best]), float(likeness[best] / noise))


def mouth_motions(points: np.ndarray) -> np.ndarray:
    """float64 (2, n): how far the chin, and the outer lips, are open, over the eyes' distance."""
    points = np.asarray(points, np.float64)
    left, right = EYE_CORNERS
    face = np.maximum(np.linalg.norm(points[:, left] - points[:, right], axis=1), 1e-3)
    chin = np.linalg.norm(points[:, _NOSE] - points[:, CHIN], axis=1)
    lips = np.linalg.norm(points[:, _UPPER] - points[:, _LOWER], axis=2).mean(axis=1)
    return np.stack([chin / face, lips / face])


def _standardised(rows: np.ndarray) -> np.ndarray:
    """Rows with mean 0 and standard deviation 1; those that do not change become 0."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    return centred / np.where(deviation > 1e-9, deviation, np.inf)
