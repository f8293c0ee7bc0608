"""JPEGs into memory that is used again: the right pixels, in memory that nothing else uses."""

import cv2
import numpy as np
import pytest
import torch
from tiny_data import clip_of, jpeg

from fsh.trainer.data.decode import VECTOR_BYTES, BufferPool, dct_scale, decode_jpeg


@pytest.mark.parametrize("to", [64, 48, 32, 16, 8])
def test_reduced_decoding_looks_like_scaling_down(to):
    frame = clip_of(0, 1).frames[0]
    small = np.zeros((to, to, 3), np.uint8)
    assert decode_jpeg(jpeg(frame), 64, small)
    if 64 % to == 0:
        wanted = frame.reshape(to, 64 // to, to, 64 // to, 3).mean((1, 3))
        assert np.abs(small - wanted).mean() < 6


@pytest.mark.parametrize("to", [64, 48, 32, 16, 8])
def test_pixels_are_those_of_opencvs_decoder(to):
    data, found = jpeg(clip_of(0, 1).frames[0]), np.zeros((to, to, 3), np.uint8)
    assert decode_jpeg(data, 64, found)
    flags = {1: cv2.IMREAD_COLOR_RGB, 2: cv2.IMREAD_REDUCED_COLOR_2}
    flags |= {4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
    reduce = dct_scale(64, to)[0]
    wanted = cv2.imdecode(np.frombuffer(data, np.uint8), flags[reduce])
    if reduce > 1:
        wanted = wanted[:, :, ::-1]
    if len(wanted) != to:
        wanted = cv2.resize(np.ascontiguousarray(wanted), (to, to), interpolation=cv2.INTER_AREA)
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("to", [64, 40, 16])
def test_a_damaged_frame_or_a_smaller_one_is_refused(to):
    into = np.zeros((to, to, 3), np.uint8)
    good = jpeg(clip_of(0, 1).frames[0])
    middle = len(good) // 2
    for data in (
        jpeg(np.full((32, 32, 3), 9, np.uint8)),
        b"nonsense",
        b"",
        good[:middle],
        good[:-2],
        good[:middle] + good[middle + 300 :],
    ):
        assert not decode_jpeg(data, 64, into)
    assert decode_jpeg(good, 64, into)


def test_memory_is_used_again_only_when_nothing_refers_to_it():
    pool = BufferPool()
    first = pool.take((2, 3))
    first[:] = 7
    tensor, row = torch.from_numpy(first)[1:], first[0]
    del first
    for _ in range(2):
        pool.take((2, 3))[:] = 9  # not kept: one more array does for both
    assert tensor.tolist() == [[7, 7, 7]] and row.tolist() == [7, 7, 7] and len(pool.buffers) == 2
    del tensor
    pool.take((2, 3))[:] = 9
    assert row.tolist() == [7, 7, 7]
    del row
    pool.take((2, 3))[:] = 8
    eights = [int((memory[part] == 8).sum()) for _, memory, part in pool.buffers]
    assert eights == [6, 0]
    assert pool.take((4, 3)).shape == (4, 3) and len(pool.buffers) == 3


@pytest.mark.parametrize("size", [32, 64])
def test_rows_of_pictures_begin_between_two_multiples_of_a_vector(size):
    assert BufferPool().take((2, 3, size, size, 3)).ctypes.data % VECTOR_BYTES == VECTOR_BYTES // 2
