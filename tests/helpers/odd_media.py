"""Files as devices, browsers and careless tools leave them, small ones, made by the real ffmpeg."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import av
import numpy as np
from fixture_ffmpeg import binary

from fsh.pipeline.media.decode import read_proxy

PICTURE = "-f lavfi -i testsrc2=s=96x64:r=25:d=1.6"
#: A tone from second 1.0 to 1.2.
TONE = r"-f lavfi -i aevalsrc=exprs=0.8*between(t\,1\,1.2)*sin(2*PI*440*t):d=1.6:s=48000"
BOTH = f"{PICTURE} {TONE}"
_FAST = "-c:v libx264 -preset ultrafast"
AAC = f"{_FAST} -bf 2 -g 10 -c:a aac"

#: Name to ffmpeg's words; all show 40 pictures in 1.6 s, their tone a second after the first.
CLOCKS = {
    "plain.mp4": f"{BOTH} {AAC}",
    "browser.webm": f"{BOTH} -c:v libvpx -deadline realtime -c:a libopus -f webm pipe:",
    "pipe.mkv": f"{BOTH} {AAC} -f matroska pipe:",
    "offset.ts": f"{BOTH} {AAC} -output_ts_offset 3600",
    "offset.mp4": f"{BOTH} {AAC} -output_ts_offset 3600",
    "offset.mkv": f"{BOTH} {AAC} -output_ts_offset 3600",
    "offset.flv": f"{BOTH} {AAC} -output_ts_offset 3600",
    "camera.MTS": f"{BOTH} {AAC} -f mpegts -mpegts_m2ts_mode 1",
    "disc.vob": f"{BOTH} -c:v mpeg2video -c:a mp2 -f vob",
    "fragments.mp4": f"{BOTH} {AAC} -bf 0 -movflags frag_keyframe+delay_moov -f mp4 pipe:",
    "negative.mp4": f"{BOTH} {AAC} -avoid_negative_ts disabled -movflags negative_cts_offsets",
    "ten_bits.mp4": f"{BOTH} {AAC} -pix_fmt yuv420p10le",
    "rgb.avi": f"{BOTH} -c:v rawvideo -pix_fmt bgr24 -c:a pcm_s16le",
    "interlaced.mp4": f"{BOTH} {AAC} -flags +ilme+ildct",
    "timecode.mov": f"{BOTH} {AAC} -timecode 01:00:00:00",
    "alpha.mov": f"{BOTH} -c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le -c:a pcm_s16le",
    "alpha.webm": f"{BOTH} -c:v libvpx -pix_fmt yuva420p -auto-alt-ref 0 -deadline realtime "
    "-c:a libopus",
}


def make(path: Path, words: str) -> Path:
    """A file by ffmpeg's words; ``pipe:`` at their end: through a pipe, as a browser writes."""
    command = [binary(), "-v", "error", "-y", *words.split()]
    if command[-1] == "pipe:":
        path.write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    else:
        subprocess.run([*command, str(path)], check=True)
    return path


def joined(path: Path, *parts: Path) -> Path:
    """One file appended to another, as people do it."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def times_of(path: Path, start: float | None = None) -> np.ndarray:
    """Seconds of a video's frames."""
    return np.array([frame.time for frame in read_proxy(path, (48, 32), start)])


def onset_in(sound: bytes) -> float:
    """Seconds to the tone in a FLAC file."""
    to_float = av.AudioResampler("fltp", "mono", 48000)
    with av.open(io.BytesIO(sound)) as file:
        parts = [p.to_ndarray()[0] for f in file.decode(audio=0) for p in to_float.resample(f)]
    return float(np.argmax(np.abs(np.concatenate(parts)) > 0.15)) / 48000
