"""What is heard of a video: a real ffmpeg's sound, the real detector."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from fsh.pipeline.media.ffmpeg import binary
from fsh.pipeline.media.voice import (
    LOUDNESS_RATE,
    RATE,
    SpanSound,
    read_samples,
    speech_probabilities,
    voice_loudness,
)


def made(path, *options: str):
    command = [binary(), "-v", "error", "-y", *options, str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="module")
def beep(tmp_path_factory):
    """Four seconds of picture; a tone of 700 Hz from second 2 to 3."""
    tone = "aevalsrc='0.5*sin(2*PI*700*t)*between(t,2,3)':s=44100:d=4"
    source = ["-f", "lavfi", "-i", "testsrc=d=4:s=64x64:r=25", "-f", "lavfi", "-i", tone]
    return made(tmp_path_factory.mktemp("voice") / "a.mp4", *source)


@pytest.mark.parametrize(("start", "end"), [(0.0, 4.0), (1.5, 3.5), (-2.0, 6.0)])
def test_sound_lies_where_the_pictures_clock_has_it(beep, start, end):
    samples = read_samples(beep, start, end)
    loud = voice_loudness(np.pad(samples, (0, max(0, round((end - start) * RATE) - len(samples)))))
    heard = np.flatnonzero(loud > 0.1) / LOUDNESS_RATE + start
    assert heard[0] == pytest.approx(2, abs=0.05) and heard[-1] == pytest.approx(3, abs=0.05)
    assert len(loud) == round((end - start) * LOUDNESS_RATE)


def test_parts_of_a_span_and_silence_around_it(beep):
    sound = SpanSound(beep, -3.0, 7.0)
    loud = sound.loudness(1.0, 9.0)
    assert len(loud) == 8 * LOUDNESS_RATE
    assert np.flatnonzero(loud > 0.1)[0] / LOUDNESS_RATE == pytest.approx(1, abs=0.05)
    assert sound.speech(0.0, 4.0) == 0


def test_without_sound_nothing_is_said(tmp_path):
    mute = made(tmp_path / "mute.mp4", "-f", "lavfi", "-i", "testsrc=d=1:s=64x64")
    sound = SpanSound(mute, 0.0, 1.0)
    assert sound.samples is None and sound.speech(0, 1) is None and sound.loudness(0, 1) is None
    assert read_samples(tmp_path / "gone.mp4", 0, 1) is None
    assert len(voice_loudness(np.zeros(10, np.int16))) == 0


def test_noise_and_silence_are_no_speech_and_repeat():
    noise = np.random.default_rng(0).normal(0, 2000, RATE).astype(np.int16)
    for sound in (noise, np.zeros(RATE, np.int16)):
        heard = speech_probabilities(sound)
        assert len(heard) == RATE // 512 and heard.max() < 0.5
        assert np.array_equal(heard, speech_probabilities(sound))
