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
        ".dv",
        ".dif",
        ".divx",
        ".rm",
        ".rmvb",
        ".mk3d",
        ".mj2",
        ".mod",
        ".tod",
        # Pictures without a container.
        *(".m1v", ".mpv", ".h263", ".h264", ".264", ".avc", ".h265", ".265", ".hevc"),
        *(".h266", ".266", ".vvc", ".ivf", ".obu", ".y4m", ".mjpeg", ".mjpg", ".yuv"),
        # Not read: who has some in a folder is told what to do.
        *(".wtv", ".dvr-ms", ".gxf", ".amv", ".drc", ".h261", ".dnxhd", ".dav", ".braw", ".r3d"),
        *(".swf", ".roq", ".vro", ".insv", ".lrv"),
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
