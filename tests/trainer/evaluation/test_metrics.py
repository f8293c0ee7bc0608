"""Scores: known values, exact identities, and intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from fsh.schemas.progress import Silent
from fsh.schemas.weights import WeightFile
from fsh.trainer.evaluation import metric_networks
from fsh.trainer.evaluation import metrics as scores


def pictures(seed: int = 0, count: int = 2, size: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def test_equal_pictures_score_best():
    same = pictures()
    assert scores.ssim(same, same) == pytest.approx([1, 1])
    assert list(scores.psnr(same, same)) == [scores.MAX_PSNR] * 2


def test_psnr_is_what_its_formula_says():
    a = np.full((1, 32, 32, 3), 100, np.uint8)
    assert scores.psnr(a, a + 10)[0] == pytest.approx(20 * np.log10(255 / 10))
    assert scores.ssim(a, pictures(1, 1))[0] < 0.2


def test_cosine_and_keypoints():
    a = np.array([[1.0, 0], [0, 2]])
    assert list(scores.cosine(a, np.array([[3.0, 0]]))) == [1, 0]
    points = np.zeros((2, 68, 2))
    assert list(scores.keypoint_distance(points + np.array([3, 4]), points)) == [5, 5]


def test_only_the_real_part_counts():
    """What is made up may be anything; the rest is compared as if it were cut out."""
    true = pictures(3)
    drawn = true.copy()
    drawn[:, :, :7] = 0
    parts = scores.real_parts(np.array([[13.2, 0, 64, 64], [14, 0, 64, 64.0]]), 64, 32)
    assert parts.tolist() == [[7, 0, 32, 32]] * 2
    assert scores.ssim(drawn, true, parts) == pytest.approx([1, 1])
    assert list(scores.psnr(drawn, true, parts)) == [scores.MAX_PSNR] * 2
    assert scores.sharpness(drawn, true, parts) == pytest.approx([1, 1])
    for metric in (scores.ssim, scores.psnr, scores.sharpness):
        other = pictures(4)
        cut = metric(other[:, 2:, 7:], true[:, 2:, 7:])
        assert metric(other, true, np.array([[7, 2, 32, 32]] * 2)) == pytest.approx(cut)
        nothing = metric(other, true, np.array([[7, 2, 7, 32], [0, 0, 0, 0]]))
        assert np.isnan(nothing).all()
    assert scores.real_parts(None, 64, 32) is None


def test_sharpness_is_the_ratio_of_the_laplacians_variances():
    true = np.zeros((1, 5, 5, 3), np.uint8)
    true[0, 2, 2] = 100  # its Laplacian inside: −400 and four times 100, so 0 on average
    half = true // 2
    assert scores.sharpness(true, true)[0] == pytest.approx(1)
    assert scores.sharpness(half, true)[0] == pytest.approx(0.25)
    steeper = true.copy()
    steeper[0, 2, 2] = 200
    assert scores.sharpness(steeper, true)[0] == pytest.approx(4)
    green = np.zeros_like(true)
    green[0, 2, 2, 1] = 100  # grey is 0.587 of it
    assert scores.sharpness(green, true)[0] == pytest.approx(0.587**2)
    flat = np.full_like(true, 90)
    assert scores.sharpness(flat, true)[0] == 0 and np.isnan(scores.sharpness(true, flat)[0])


def test_heads_turned_away_from_every_photo():
    photos = np.array([[0, 0, 0], [30, 0, 0], [np.nan] * 3], float)
    poses = np.array(
        [
            [15, 0, 90],  # between the photos; roll does not count
            [51, 0, 0],  # 21° beyond one
            [49, 0, 0],
            [-21, 0, 0],
            [0, 25, 0],  # looks down, as no photo does
            [np.nan] * 3,
        ]
    )
    assert scores.turned_away(poses, photos).tolist() == [False, True, False, True, True, False]
    assert not scores.turned_away(poses, photos[2:]).any()


def test_jitter_leaves_out_frames_without_a_face():
    shaken = np.where(np.arange(20) % 2, 1.0, -1)[:, None, None] * np.ones((1, 68, 1)) * [1, 0]
    shaken[8] = np.nan
    assert scores.jitter(shaken) == pytest.approx(4)
    assert np.isnan(scores.keypoint_distance(shaken, shaken)[8])


def test_jitter_sees_shaking_and_not_motion():
    smooth = np.linspace(0, 30, 20)[:, None, None] * np.ones((1, 68, 2))
    shaken = smooth + np.where(np.arange(20) % 2, 1, -1)[:, None, None] * [1, 0]
    assert scores.jitter(smooth) == pytest.approx(0, abs=1e-9)
    assert scores.jitter(shaken) == pytest.approx(4)  # −1, +1, −1: second difference 4
    assert np.isnan(scores.jitter(smooth[:2]))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 12), st.integers(0, 99))
def test_frechet_is_the_textbook_formula(n, m, width, seed):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(n, width)), random.normal(1, 2, (m, width))
    s, t = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    # A little on the diagonal: sqrtm is lost where covariances are singular.
    root = sqrtm((s + 1e-12 * np.eye(width)) @ (t + 1e-12 * np.eye(width))).real
    wanted = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * root)
    assert scores.frechet(a, b) == pytest.approx(wanted, abs=1e-3)
    assert scores.frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_intervals_are_over_identities():
    groups = [np.full(n, v) for n, v in ((1, 0.0), (100, 1.0))]
    found = scores.mean_interval(groups)
    assert (found.value, found.low, found.high) == (0.5, 0, 1)  # many frames are not many people
    assert np.isnan(scores.mean_interval(groups[:1]).low)
    assert found == scores.mean_interval(groups)


def test_intervals_cover_the_mean_about_as_often_as_they_say():
    random = np.random.default_rng(1)
    covered = 0
    for i in range(100):
        found = scores.mean_interval(list(random.normal(3, 1, (30, 1))), seed=i)
        covered += found.low <= 3 <= found.high
    assert 86 <= covered <= 100


def test_frechet_intervals_hold_the_value():
    random = np.random.default_rng(2)
    pairs = [(random.normal(i / 9, 1, (4, 8)), random.normal(0, 1, (4, 8))) for i in range(9)]
    found = scores.frechet_interval(pairs, resamples=50)
    assert found.low < found.value < found.high
    assert np.isnan(scores.frechet_interval(pairs[:1]).low)


def test_lpips_reads_published_weights_and_knows_equal_from_different(tmp_path):
    """The file formats of torchvision's AlexNet and torchmetrics' heads, filled at random."""
    torch.manual_seed(0)
    blank = metric_networks.Lpips()
    stored = {f"features.{k}": v for k, v in blank.features.state_dict().items()}
    torch.save(stored | {"classifier.1.weight": torch.zeros(1)}, tmp_path / "alex.pth")
    heads = {
        f"lin{i}.model.1.weight": torch.rand(1, len(w), 1, 1) for i, w in enumerate(blank.heads)
    }
    torch.save(heads, tmp_path / "heads.pth")
    network = metric_networks.read_lpips(tmp_path / "alex.pth", tmp_path / "heads.pth")
    a, b = torch.rand(2, 1, 3, 64, 64) * 2 - 1
    assert float(network(a, a)) == 0 and float(network(a, b)) > 0.01
    torch.testing.assert_close(network(a, b), network(b, a))


def test_a_network_that_cannot_be_had_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("FSH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    found, missing = metric_networks.load_metric_networks(
        Silent(),
        alexnet=WeightFile("AlexNet", "a.pth", "", "7be5be79", ""),
        inception=WeightFile("Inception", "i.pth", "", "6726825d", ""),
    )
    assert not found and set(missing) == {"lpips", "fid"} and all(missing.values())
