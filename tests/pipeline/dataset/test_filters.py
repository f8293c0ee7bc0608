"""Filters: thresholds on stored scores, one reason each."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from fsh.pipeline.dataset.config import AnalysisConfig, FilterConfig, ShardConfig
from fsh.pipeline.dataset.settling.filters import columns_of_clip, cut_off, reject_reason
from fsh.pipeline.dataset.spans.upgrading import earlier
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.tables.records import Clip, RejectReason

GOOD = Clip(
    video_id="v",
    frames=100,
    frames_failed=0,
    fps=25.0,
    width=1280,
    height=720,
    crop_left=300.0,
    crop_top=100.0,
    crop_side=380.0,
    face_px=200.0,
    detected=1.0,
    sharpness=80.0,
    brightness=0.5,
    contrast=0.15,
    yaw=-10.0,
    frame_difference=0.02,
    mouth_motion=0.05,
    identity_consistency=0.97,
)


def test_a_good_clip_is_kept():
    assert reject_reason(GOOD, FilterConfig(), FaceSpec()) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"frames": 10}, "too_short"),
        ({"face_px": 30.0}, "small_face"),
        ({"crop_top": -150.0}, "cut_off"),
        ({"detected": 0.2}, "unsteady"),
        ({"frames_failed": 60}, "no_landmarks"),
        ({"sharpness": 1.0}, "blurred"),
        ({"brightness": 0.01}, "dark"),
        ({"brightness": 0.99}, "overexposed"),
        ({"contrast": 0.001}, "flat"),
        ({"yaw": -80.0}, "profile"),
        ({"frame_difference": 0.0}, "still"),
        ({"identity_consistency": 0.3}, "mixed"),
        ({"reason": RejectReason.NO_FACE}, "no_face"),
    ],
)
def test_each_score_rejects_for_its_own_reason(change, reason):
    assert reject_reason(replace(GOOD, **change), FilterConfig(), FaceSpec()) == reason


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_what_was_not_measured_rejects_nothing(nothing):
    scores = (
        "sharpness",
        "brightness",
        "contrast",
        "yaw",
        "frame_difference",
        "mouth_motion",
        "identity_consistency",
    )
    clip = replace(GOOD, **dict.fromkeys(scores, nothing))
    assert reject_reason(clip, FilterConfig(), FaceSpec()) is None


def test_silent_faces_are_kept_unless_asked_otherwise():
    silent = replace(GOOD, mouth_motion=0.0)
    assert reject_reason(silent, FilterConfig(), FaceSpec()) is None
    talking = FilterConfig(min_mouth_motion=0.01)
    assert reject_reason(silent, talking, FaceSpec()) is RejectReason.NOT_TALKING


def test_a_head_inside_the_frame_is_not_cut_off():
    assert cut_off(columns_of_clip(GOOD), FaceSpec())[0] < 0
    right = replace(GOOD, crop_left=1280 - 190 - 0.65 * 200 + 40)  # the ear lies 40 px outside
    assert cut_off(columns_of_clip(right), FaceSpec())[0] == pytest.approx(0.2)


def test_settings_that_change_pixels_change_the_analysis_and_filters_do_not():
    config = ShardConfig()
    stricter = replace(config, filters=replace(config.filters, min_face=200))
    assert stricter.hash != config.hash
    assert stricter.analysis.hash == config.analysis.hash
    assert replace(config, video_timeout=1, memory_limit=1).hash == config.hash
    default = AnalysisConfig()
    for field in fields(AnalysisConfig):
        if field.type in ("float", "int"):
            changed = replace(default, **{field.name: getattr(default, field.name) + 1})
            assert changed.hash != default.hash, field.name


def test_finished_work_of_earlier_runs_is_used_again():
    """The hash is part of the folders' names: if it changes, every video is analysed again."""
    assert AnalysisConfig().hash == "5083b3f39e3f"
    older = [one.hash for one in earlier(AnalysisConfig())]
    assert older[-1] == "493bea3b5a77", "what version 4 made is brought up to date"


def test_sharpness_is_judged_as_at_256_pixels():
    """The same picture is about 3.25 times as sharp in crops of half the size."""
    soft = replace(GOOD, sharpness=20.0)
    assert reject_reason(soft, FilterConfig(), FaceSpec()) is None
    assert reject_reason(soft, FilterConfig(), FaceSpec(size=128)) is RejectReason.BLURRED
    softer = replace(GOOD, sharpness=5.0)
    assert reject_reason(softer, FilterConfig(), FaceSpec(size=512)) is None
