"""What is difficult about a driver, reported before anything is drawn."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from fsh.pipeline.faces.pose import head_poses
from fsh.schemas.faces.landmarks import NOSE_BRIDGE, found, mouth_opening

#: Beyond these a driver is called difficult: the head's yaw and pitch in degrees, the share of
#: frames in which it is turned that far, and shake in face heights per frame (one clip in twenty
#: has more).
YAW, PITCH, MANY, SHAKE = 35.0, 25.0, 0.1, 0.025
#: A mouth opened further (:func:`~fsh.schemas.faces.landmarks.mouth_opening`) is no neutral start.
OPEN_MOUTH = 0.25
#: A head turned further than this share of YAW or PITCH is no neutral start.
_TURNED_START = 0.6
#: Moments named in one message at most.
_TIMES = 6
_POSES = 120  # frames whose pose is measured, at most


@dataclass(frozen=True)
class Preflight:
    """What is difficult about a driver.

    Attributes:
        frames, lost, longest_gap: frames, frames without a face, the longest run of those.
        shake: median shake of the head from frame to frame, in face heights.
        turned: share of the frames with an extreme pose.
        start: what keeps the first face from being neutral, empty if nothing does.
        away: seconds from and to which somebody else is shown, and not the face that drives.
        faces: how many people the driver shows.
    """

    frames: int
    lost: int
    longest_gap: int
    shake: float
    turned: float
    start: str
    away: tuple[tuple[float, float], ...] = ()
    faces: int = 1

    def to_json(self) -> dict:
        return asdict(self)

    def warnings(self) -> list[str]:
        """One line for each thing that will show in the film."""
        lines = []
        if self.away:
            times = [f"{_clock(start)} to {_clock(end)}" for start, end in self.away]
            more = f" and {len(times) - _TIMES} more" if len(times) > _TIMES else ""
            lines.append(
                f"cuts away to another person at {', '.join(times[:_TIMES])}{more}: bridged; "
                f"--driver-face 0 to {self.faces - 1} chooses who drives"
            )
        elif self.faces > 1:
            lines.append(
                f"shows {self.faces} people, the largest for longest drives; "
                f"--driver-face 0 to {self.faces - 1} chooses another"
            )
        if self.lost:
            lines.append(
                f"no face in {self.lost} of {self.frames} frames "
                f"(at most {self.longest_gap} in a row): bridged"
            )
        if self.shake > SHAKE:
            lines.append(
                f"the picture shakes ({100 * self.shake:.1f} % of the face from frame to frame)"
            )
        if self.turned > MANY:
            lines.append(f"the head is turned far in {100 * self.turned:.0f} % of the frames")
        if self.start:
            lines.append(
                f"the first frame is not neutral ({self.start}); a calmer one is the reference"
            )
        return lines


def _clock(seconds: float) -> str:
    """A moment as players show it, with tenths."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes:02d}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"
    return f"{hours}:{text}" if hours else text


def preflight(
    landmarks: np.ndarray,
    size: int,
    mesh: np.ndarray | None = None,
    away: tuple[tuple[float, float], ...] = (),
    faces: int = 1,
) -> Preflight:
    """Examine a driver's landmarks.

    Args:
        landmarks: (N, 68, 2) crop pixels, NaN where the face is lost; at least one is not.
        size: side of the crop, pixels.
        mesh: (N, 478, 3), the same, or None.
        away, faces: as :class:`~fsh.pipeline.inputs.driver.Driver` has them.
    """
    there = found(landmarks)
    known = np.flatnonzero(there)
    height = float(np.median(np.ptp(landmarks[there][:, :, 1], axis=1)))
    # The bridge of the nose moves with the head and not with the expression.
    head = landmarks[:, NOSE_BRIDGE].mean(axis=1)
    shake = np.linalg.norm(head[2:] - 2 * head[1:-1] + head[:-2], axis=1) / height
    shake = shake[np.isfinite(shake)]
    some = known[np.linspace(0, len(known) - 1, min(_POSES, len(known))).astype(int)]
    poses = head_poses(landmarks[some], size, None if mesh is None else mesh[some])
    yaws, pitches, _ = np.abs(poses).T
    reasons = []
    if mouth_opening(landmarks[known[:1]])[0] > OPEN_MOUTH:
        reasons.append("mouth open")
    if max(yaws[0] / YAW, pitches[0] / PITCH) > _TURNED_START:
        reasons.append("head turned")
    return Preflight(
        frames=len(landmarks),
        lost=int((~there).sum()),
        longest_gap=longest_run(~there),
        shake=float(np.median(shake)) if len(shake) else 0.0,
        turned=float(np.mean((yaws > YAW) | (pitches > PITCH))),
        start=", ".join(reasons),
        away=away,
        faces=faces,
    )


def longest_run(flags: np.ndarray) -> int:
    """The length of the longest run of True in bool (N,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
