"""Writing a film as a folder of PNG pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from fsh.schemas.errors import FshError
from fsh.schemas.places.temporary import replacing_folder

#: JSON: how many pictures there are, and the second at which each is shown. The sign that fsh
#: made the folder, without which it is not replaced.
TIMES = "times.json"


def write_pictures(
    folder: Path,
    frames: Iterable[np.ndarray],
    times: np.ndarray,
    finish: Callable[[Path], object] | None = None,
) -> int:
    """Write RGB frames as ``000000.png`` and so on, and their times.

    Args:
        folder: appears only when it is complete; an older one is replaced if
            :func:`require_pictures_folder` allows it.
        frames: uint8 (H, W, 3) RGB.
        times: float64 (N,), seconds.
        finish: called with each picture's file, for instance to sign it.

    Returns:
        The number of pictures.

    Raises:
        FshError: if there are more or fewer frames than times, or the folder is not fsh's.
    """
    with replacing_folder(folder, lambda: require_pictures_folder(folder)) as scratch:
        count = 0
        for frame in frames:
            path = scratch / picture_name(count)
            Image.fromarray(frame).save(path)
            if finish:
                finish(path)
            count += 1
        if count != len(times):
            raise FshError(f"{count} frames for {len(times)} times", where=folder)
        about = {"made_by": "fsh animate", "pictures": count, "times": np.asarray(times).tolist()}
        (scratch / TIMES).write_text(json.dumps(about) + "\n")
    return count


def picture_name(number: int) -> str:
    return f"{number:06d}.png"


def require_pictures_folder(folder: Path) -> None:
    """Check that pictures may be written here: nothing is, or exactly an older film's pictures.

    Raises:
        FshError: if there is anything else.
    """
    remedy = "name a new folder"
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir() or folder.is_symlink():
        raise FshError("is no folder", where=folder, remedy=remedy)
    there = {path.name for path in folder.iterdir()}
    if not there:
        return
    try:
        count = int(json.loads((folder / TIMES).read_text())["pictures"])
    except (OSError, ValueError, KeyError, TypeError):
        raise FshError(
            "holds something, and not a film's pictures alone", where=folder, remedy=remedy
        ) from None
    if foreign := sorted(there - {TIMES, *map(picture_name, range(count))}):
        raise FshError(f"holds {foreign[0]} besides a film's pictures", where=folder, remedy=remedy)
