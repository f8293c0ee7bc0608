"""File name endings by which videos and pictures are found in folders and lists.

They only select candidates: what a file is depends on its content, see
:mod:`fsh.pipeline.media.probe`. All are lower case, with the dot.
"""

from __future__ import annotations

VIDEO_SUFFIXES = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".mts",
        ".m2ts",
        ".m2t",
        ".m2v",
        ".vob",
        ".f4v",
        ".ogm",
        ".3g2",
        ".nut",
        ".flv",
        ".wmv",
        ".asf",
        ".ogv",
        ".3gp",
        ".mxf",
    ]
)

PHOTO_SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jfif",
        ".png",
        ".webp",
        ".bmp",
        ".tif",
        ".tiff",
        ".gif",
        ".avif",
        ".heic",
        ".heif",
    ]
)

#: Of files that are no videos, or not yet, and are not opened to see whether they are.
OTHER_SUFFIXES = PHOTO_SUFFIXES | frozenset(
    [
        *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".parquet", ".npy", ".npz"),
        *(".wav", ".mp3", ".m4a", ".flac", ".srt", ".vtt", ".tar", ".zip", ".gz"),
        *(".part", ".partial", ".ytdl", ".crdownload", ".download", ".tmp"),
    ]
)
