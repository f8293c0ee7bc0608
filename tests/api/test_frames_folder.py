"""Folders of frames: which of a video's frames are inputs, and which are held out."""

from __future__ import annotations

from fsh.evaluation.frames_folder import split_pictures


def test_splits_named_like_tests_are_held_out(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(64)]
    assert split_pictures({"train": paths[:32], "test": paths[32:]}, 32, 32) == (
        paths[:32],
        paths[32:],
    )
    assert split_pictures({"voxceleb": paths}, 32, 32) == (paths[:32], paths[32:])
    inputs, held = split_pictures({"test": paths}, 8, 8)
    assert len(inputs) == len(held) == 8 and set(inputs) < set(paths[:32])
