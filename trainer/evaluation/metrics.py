"""Metrics of pictures, landmarks and features, and their confidence intervals.

Pure functions of arrays, without networks or files. Pictures are uint8 (N, H, W, 3) RGB.
Definitions stand in docs/evaluate.md, so that they can be computed again elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

#: dB of two pictures that do not differ at all.
MAX_PSNR = 100.0
#: Resampled sets of identities behind an interval.
RESAMPLES = 1000
#: Degrees of yaw or pitch from every photo by which a head counts as turned away from them.
TURN = 20.0
#: Side of the window of the structural similarity.
_WINDOW = 11
#: Grey of red, green and blue (ITU-R BT.601).
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval; NaN bounds where there are fewer than two identities."""

    value: float
    low: float
    high: float


def ssim(drawn: np.ndarray, true: np.ndarray, parts: np.ndarray | None = None) -> np.ndarray:
    """Structural similarity (Wang et al. 2004) of each pair, float64 (N,): 1 for equal pictures.

    Gaussian window of σ 1.5 (11 px), population covariance, mean over the three channels and over
    all windows that lie in the part compared.

    Args:
        parts: see :func:`real_parts`; None: everything. NaN where no window fits.
    """

    def of(a: np.ndarray, b: np.ndarray) -> float:
        if min(a.shape[:2]) < _WINDOW:
            return float("nan")
        return structural_similarity(
            a,
            b,
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )

    return _of_each(of, drawn, true, parts)


def psnr(drawn: np.ndarray, true: np.ndarray, parts: np.ndarray | None = None) -> np.ndarray:
    """Peak signal-to-noise ratio of each pair in dB, float64 (N,), at most :data:`MAX_PSNR`.

    Args:
        parts: see :func:`real_parts`; None: everything. NaN where that is nothing.
    """

    def of(a: np.ndarray, b: np.ndarray) -> float:
        if not a.size:
            return float("nan")
        with np.errstate(divide="ignore"):
            return min(peak_signal_noise_ratio(b, a, data_range=255), MAX_PSNR)

    return _of_each(of, drawn, true, parts)


def sharpness(drawn: np.ndarray, true: np.ndarray, parts: np.ndarray | None = None) -> np.ndarray:
    """Variance of the Laplacian of a drawing's grey values over the true picture's, float64 (N,).

    1 is as sharp as the true picture, less is softer; noise and stripes count as sharp. NaN where
    the true picture is flat.

    Args:
        parts: see :func:`real_parts`; None: everything.
    """

    def variance(picture: np.ndarray) -> float:
        grey = picture.astype(np.float64) @ _LUMA
        inner = -4 * grey[1:-1, 1:-1] + grey[:-2, 1:-1] + grey[2:, 1:-1]
        inner = inner + grey[1:-1, :-2] + grey[1:-1, 2:]
        return float(inner.var()) if inner.size else 0.0

    def of(a: np.ndarray, b: np.ndarray) -> float:
        most = variance(b)
        return variance(a) / most if most > 1e-9 else float("nan")

    return _of_each(of, drawn, true, parts)


def real_parts(real: np.ndarray | None, crop: int, size: int) -> np.ndarray | None:
    """Pixels of pictures that lie wholly in the real part of their crops.

    Args:
        real: (N, 4), edges in pixels of the crop (:attr:`fsh.schemas.faces.clip.FaceClip.real`).
        crop: side of the crop.
        size: side of the pictures.

    Returns:
        int (N, 4): first column and row, and those behind the last; None if everything is real.
    """
    if real is None:
        return None
    edges = np.asarray(real, np.float64) * (size / crop)
    first, behind = np.ceil(edges[:, :2] - 1e-6), np.floor(edges[:, 2:] + 1e-6)
    return np.concatenate([first, behind], axis=1).clip(0, size).astype(int)


def _of_each(
    metric: Callable[[np.ndarray, np.ndarray], float],
    drawn: np.ndarray,
    true: np.ndarray,
    parts: np.ndarray | None,
) -> np.ndarray:
    if parts is None:
        parts = np.tile([0, 0, true.shape[2], true.shape[1]], (len(true), 1))
    pairs = zip(drawn, true, parts, strict=True)
    found = [
        metric(a[top:bottom, left:right], b[top:bottom, left:right])
        for a, b, (left, top, right, bottom) in pairs
    ]
    return np.array(found, np.float64)


def turned_away(poses: np.ndarray, photos: np.ndarray, degrees: float = TURN) -> np.ndarray:
    """bool (N,): heads whose yaw or pitch differs by more than so much from every photo's.

    Args:
        poses: (N, 3) yaw, pitch and roll in degrees. photos: (T, 3), the same; NaN is no photo.
    """
    known = photos[np.isfinite(photos[:, :2]).all(axis=1)]
    if not len(known):
        return np.zeros(len(poses), bool)
    gaps = np.abs(poses[:, None, :2] - known[None, :, :2]).max(axis=2)
    return np.asarray((gaps > degrees).all(axis=1))


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of the angle between vectors (N, D) and (N or 1, D), float64 (N,)."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / np.maximum(norms, 1e-12)


def keypoint_distance(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Mean distance of points (N, P, 2), in their pixels, float64 (N,); NaN where one is NaN."""
    gaps = np.asarray(found, np.float64) - np.asarray(wanted, np.float64)
    return np.linalg.norm(gaps, axis=2).mean(axis=1)


def jitter(points: np.ndarray) -> float:
    """Root mean square of the points' second difference over consecutive frames, in pixels.

    Smooth motion has little of it; points that shake from frame to frame have much.

    Args:
        points: (N, P, 2); NaN in frames without a face.

    Returns:
        NaN if no three consecutive frames have a face.
    """
    points = np.asarray(points, np.float64)
    squares = (np.diff(points, 2, axis=0) ** 2).sum(axis=2)
    squares = squares[np.isfinite(squares)]
    return float(np.sqrt(squares.mean())) if len(squares) else float("nan")


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two sets of features (N, D), (M, D) taken as Gaussians.

    |μ_a − μ_b|² + tr(Σ_a + Σ_b − 2(Σ_a Σ_b)^½). The last trace is the sum of the singular values of
    the product of the centred sets, which is exact whatever the sets' sizes, and needs no root of
    a matrix.

    Returns:
        NaN if a set has fewer than two features.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if min(len(a), len(b)) < 2:
        return float("nan")
    x, y = (a - a.mean(0)) / np.sqrt(len(a) - 1), (b - b.mean(0)) / np.sqrt(len(b) - 1)
    product = x @ y.T if len(a) + len(b) < 2 * a.shape[1] else _root(x) @ _root(y).T
    mixed = np.linalg.svd(product, compute_uv=False).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + (x**2).sum() + (y**2).sum() - 2 * mixed)


def _root(x: np.ndarray) -> np.ndarray:
    """(D, D) with the same Gram matrix xᵀx as x (N, D): singular values stay what they are."""
    return np.asarray(np.linalg.qr(x, mode="r"))


def mean_interval(groups: Sequence[np.ndarray], *, seed: int = 0) -> Interval:
    """The mean over identities of the mean over their frames, and its 95 % bootstrap interval.

    Every identity counts the same, however many frames it has; and whole identities are drawn with
    replacement, because frames of one person are not independent.

    Args:
        groups: each identity's values.
    """
    means = np.array([np.mean(group) for group in groups])
    if len(means) < 2:
        return Interval(float(means.mean()), float("nan"), float("nan"))
    random = np.random.default_rng(seed)
    drawn = means[random.integers(len(means), size=(RESAMPLES, len(means)))].mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(means.mean()), float(low), float(high))


def frechet_interval(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], *, seed: int = 0, resamples: int = 100
) -> Interval:
    """:func:`frechet` of all identities' features together, with its 95 % bootstrap interval.

    Identities are drawn as in :func:`mean_interval`. A set with people in it twice is further from
    any other, so the interval is moved to have its median at the value.

    Args:
        pairs: each identity's two sets of features.
    """

    def distance(chosen: Iterable[int]) -> float:
        sides = zip(*(pairs[i] for i in chosen), strict=True)
        return frechet(*(np.concatenate(side) for side in sides))

    count = len(pairs)
    value = distance(range(count))
    if count < 2:
        return Interval(value, float("nan"), float("nan"))
    random = np.random.default_rng(seed)
    drawn = [distance(random.integers(count, size=count)) for _ in range(resamples)]
    low, middle, high = np.percentile(drawn, [2.5, 50, 97.5])
    return Interval(value, float(low + value - middle), float(high + value - middle))
