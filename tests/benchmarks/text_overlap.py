"""``text_overlap`` against planted text: captions, subtitles and logos of many looks on real faces.

    python tests/benchmarks/text_overlap.py DATA [--every 2]

Each clip is scored as it is, and with text drawn into its three frames: a caption over the chin, a
subtitle of two lines, a logo on the forehead, a large word, and text beside the face, which must
not count. Prints precision and recall at several thresholds, and the cost per clip.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from fsh.pipeline.faces.crop import CropWindow, box_to_crop
from fsh.pipeline.faces.overlaid_text import text_overlap
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.sample import samples_in
from fsh.schemas.tables.parquet import read_clips
from fsh.trainer.data.decode import decode_jpeg

FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)
WORDS = ("BREAKING NEWS", "and then I said", "Wie geht es dir", "LIVE", "CH 24", "subscribe now")
#: Name: height of a line in sides of the face's box, where its base is in it, from left and top.
KINDS = {
    "caption": (0.12, (0.0, 0.92)),
    "subtitle": (0.08, (-0.1, 0.85)),
    "logo": (0.10, (0.15, 0.25)),
    "large word": (0.20, (-0.1, 0.6)),
}


def draw(picture: np.ndarray, box: np.ndarray, kind: str, random: np.random.Generator) -> None:
    """Draw text of a kind into a picture, with an edge or on a bar."""
    high, (left, base) = KINDS[kind]
    side = box[3] - box[1]
    font, word = FONTS[random.integers(len(FONTS))], WORDS[random.integers(len(WORDS))]
    scale = high * side / 22
    thick = max(1, round(1.6 * scale))
    x, y = round(box[0] + left * side), round(box[1] + base * side)
    light = bool(random.integers(2))
    ink, edge = ((255,) * 3, (0,) * 3) if light else ((20, 20, 20), (240, 240, 240))
    if random.integers(2):
        (wide, tall), low = cv2.getTextSize(word, font, scale, thick)
        cv2.rectangle(picture, (x - 4, y - tall - 4), (x + wide + 4, y + low), edge, -1)
    else:
        cv2.putText(picture, word, (x, y), font, scale, edge, thick + 2, cv2.LINE_AA)
    cv2.putText(picture, word, (x, y), font, scale, ink, thick, cv2.LINE_AA)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=2, help="each how manieth clip is taken")
    options = parser.parse_args()
    data, cost = DataFolder(options.data), []
    clips = [clip for clip in read_clips(data.clips) if clip.kept][:: options.every]
    found: dict[str, list[float]] = {"as it is": [], "beside": [], **{kind: [] for kind in KINDS}}
    for number, clip in enumerate(clips):
        (tar, *_) = data.clip_tars(clip.clip_id or "")
        frames = [
            (sample, i)
            for sample in samples_in(tar.read_bytes(), tar, closed=False)
            for i in range(sample.frames)
        ]
        some = [frames[round(share * (len(frames) - 1))] for share in (0.2, 0.5, 0.8)]
        size = some[0][0].info.spec.size
        pictures = np.empty((len(some), size, size, 3), np.uint8)
        for row, (sample, i) in enumerate(some):
            decode_jpeg(sample.frame(i), size, pictures[row])
        window = CropWindow(*(int(v) for v in some[0][0].info.crop))
        boxes = box_to_crop(np.array([s.info.boxes[i] for s, i in some]), window, size)
        began = time.process_time()
        found["as it is"].append(text_overlap(pictures, boxes))
        cost.append(time.process_time() - began)
        for kind in [*KINDS, "beside"]:
            shown = pictures.copy()
            for picture, box in zip(shown, boxes, strict=True):
                drawn = np.random.default_rng([number, len(kind)])
                place = box if kind != "beside" else boxes[0] * 0 + (0.1, 0, 80, 70)
                draw(picture, place, kind if kind != "beside" else "logo", drawn)
            found[kind].append(text_overlap(shown, boxes))
    print(f"{len(clips)} clips; {1e3 * np.mean(cost):.0f} ms of CPU time per clip")
    good = np.array(found["as it is"])
    for threshold in (0.005, 0.02, 0.05):
        wrong = (good > threshold).mean()
        for kind in [*KINDS, "beside"]:
            recall = (np.array(found[kind]) > threshold).mean()
            precision = recall / max(recall + wrong, 1e-9)
            print(
                f"threshold {threshold}, {kind}: precision {precision:.2f}, recall {recall:.2f}, "
                f"takes {wrong:.1%} of the clips as they are"
            )


if __name__ == "__main__":
    main()
