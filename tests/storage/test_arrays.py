"""Arrays on disk: equal to the written ones, of the expected type, and never code."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, strategies as st

from nlpseq.errors import ArtifactError
from nlpseq.storage.arrays import NpyWriter, load_array
from nlpseq.storage.manifest import file_sha256


def test_load_array_maps_and_checks_the_type(tmp_path):
    np.save(tmp_path / "numbers.npy", np.arange(5))
    array = load_array(tmp_path / "numbers.npy", np.int64, 1)
    assert isinstance(array, np.memmap)
    assert array.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ArtifactError, match="holds int64 of 1 dimensions, expected float32 of 1"):
        load_array(tmp_path / "numbers.npy", np.float32, 1)
    with pytest.raises(ArtifactError, match="holds int64 of 1 dimensions, expected int64 of 2"):
        load_array(tmp_path / "numbers.npy", np.int64, 2)


def test_load_array_refuses_a_pickle(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ArtifactError, match=r"x\.npy: is not a readable \.npy array"):
        load_array(tmp_path / "x.npy", object, 1)


def test_load_array_refuses_an_archive(tmp_path):
    np.savez(tmp_path / "x.npz", np.arange(3))
    with pytest.raises(ArtifactError, match=r"x\.npz: is not a readable \.npy array"):
        load_array(tmp_path / "x.npz", np.int64, 1)


@pytest.mark.filterwarnings("ignore")  # NumPy warns of some of these headers, which is fine
def test_load_array_refuses_a_corrupt_header(tmp_path):
    file = tmp_path / "numbers.npy"
    np.save(file, np.arange(5))
    content = file.read_bytes()
    for place in range(128):
        for bit in (4, 16):
            file.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
            with contextlib.suppress(ArtifactError):  # but no other error; a changed blank is valid
                load_array(file, np.int64, 1)
        file.write_bytes(content[:place])
        with pytest.raises(ArtifactError):
            load_array(file, np.int64, 1)


@given(st.lists(st.lists(st.integers(0, 2**16 - 1), max_size=5), max_size=8))
def test_npy_writer_equals_numpy_save(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("npy")
    whole = np.array([number for part in parts for number in part], np.uint16)
    with NpyWriter(folder / "grown.npy", np.uint16) as writer:
        for part in parts:
            writer.append(np.array(part, np.uint16))
        assert writer.length == len(whole)
    np.save(folder / "saved.npy", whole)
    assert (folder / "grown.npy").read_bytes() == (folder / "saved.npy").read_bytes()
    assert load_array(folder / "grown.npy", np.uint16, 1).tolist() == whole.tolist()


def test_npy_writer_header_fits_any_length(tmp_path):
    with NpyWriter(tmp_path / "grown.npy", np.int64) as writer:
        for _ in range(1000):
            writer.append(np.arange(1001))
    assert np.load(tmp_path / "grown.npy").tolist() == list(range(1001)) * 1000


def test_npy_writer_truncates_an_overwritten_file(tmp_path):
    file = tmp_path / "a.npy"
    np.save(file, np.arange(100, dtype=np.uint32))
    with NpyWriter(file, np.uint16, length=60, over=True) as writer:
        writer.append(np.arange(25))
        writer.append(np.arange(25, 60))
    assert writer.sha256() == file_sha256(file)
    expected = np.arange(60, dtype=np.uint16)
    np.save(tmp_path / "b.npy", expected)
    np.testing.assert_array_equal(np.load(file), expected)
    assert file.stat().st_size == (tmp_path / "b.npy").stat().st_size


def test_npy_writer_converts_the_type(tmp_path):
    with NpyWriter(tmp_path / "grown.npy", np.uint32) as writer:
        writer.append(np.array([1, 2, 3], np.int64)[::-1])
    assert np.load(tmp_path / "grown.npy").tolist() == [3, 2, 1]
