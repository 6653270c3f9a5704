"""A folder is read byte by byte once, and again after any change."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.results import seal
from support.vocabularies import vocab_of

from nlpseq.errors import ArtifactError
from nlpseq.storage import manifest
from nlpseq.vectors import folder
from nlpseq.vectors.checked import FolderRecord
from nlpseq.vectors.shrink import shrink
from nlpseq.vectors.vectors import Vectors

MATRIX = np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32)
WORDS = [f"w{v}" for v in range(9)]
SETTLED_S = 0.15  # until a record of new files is trusted


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Collect the names of files that are read to the end for a check."""
    names = list[str]()

    def watched(function):
        def call(file: Path, *args: object) -> object:
            names.append(file.name)
            return function(file, *args)

        return call

    monkeypatch.setattr(manifest, "file_sha256", watched(manifest.file_sha256))
    monkeypatch.setattr(folder, "index_words", watched(folder.index_words))
    yield names


@pytest.fixture(params=["float32", "int8", "float16"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    shrink(Vectors(vocab_of(WORDS), MATRIX, MATRIX * 2), dtype=request.param).save(tmp_path / "a.w2v")
    time.sleep(SETTLED_S)
    return tmp_path / "a.w2v"


def test_bytes_are_checked_the_first_time_alone(path: Path, reads: list[str]) -> None:
    first = Vectors.load(path)
    assert {"vectors.npy", "contexts.npy", "vocab.tsv", "meta.json"} <= set(reads)
    reads.clear()
    again = Vectors.load(path)
    assert reads == []
    assert again.vocab.words == first.vocab.words == WORDS and again.word_id("w3") == 3
    assert np.array_equal(again.matrix, first.matrix) and again.dtype == first.dtype
    assert again.neighbors("w3") == first.neighbors("w3")


def test_verify_reads_all_bytes_or_none(path: Path, reads: list[str]) -> None:
    Vectors.load(path, verify=False)
    assert reads == ["vocab.tsv"]  # for the places of the words
    Vectors.load(path)
    reads.clear()
    Vectors.load(path, verify=True)
    assert set(reads) >= {"vectors.npy", "contexts.npy", "vocab.tsv", "meta.json"}


@pytest.mark.parametrize("keep_times", [False, True])
def test_change_is_noticed(path: Path, keep_times: bool) -> None:
    Vectors.load(path)
    file = path / "contexts.npy"
    before, content = file.stat(), bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    if keep_times:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ArtifactError, match=r"contexts\.npy: does not match its sha256"):
        Vectors.load(path)


def test_new_folder_of_the_same_name_is_checked(path: Path, reads: list[str]) -> None:
    Vectors.load(path)
    Vectors(vocab_of(WORDS[::-1]), MATRIX).save(path, force=True)
    reads.clear()
    assert Vectors.load(path).vocab.words == WORDS[::-1]
    assert "vectors.npy" in reads


def test_folder_changed_just_before_gets_no_record(path: Path, reads: list[str]) -> None:
    seal(path)
    for _ in range(2):
        reads.clear()
        Vectors.load(path)
        assert "vectors.npy" in reads
        os.utime(path / "meta.json")


def test_folder_changed_during_the_check_is_checked_again(path: Path) -> None:
    record, table = FolderRecord(path), np.zeros((3, 9), np.int64)
    os.utime(path / "meta.json")
    record.save(table)
    assert FolderRecord(path).load() is None
    assert np.array_equal(record.load(), table)  # type: ignore[arg-type]


def test_corrupt_record_is_made_again(path: Path, reads: list[str]) -> None:
    Vectors.load(path)
    (file,) = Path(os.environ["NLPSEQ_CACHE_DIR"], "vectors").glob("*.npy")
    for content in (b"", file.read_bytes()[:-9], b"x" * 500):
        file.write_bytes(content)
        reads.clear()
        assert Vectors.load(path).word_id("w8") == 8
        assert "vectors.npy" in reads
        assert len(file.read_bytes()) > 200


def test_read_only_cache_costs_the_check_alone(
    path: Path, reads: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(tmp_path / "file" / "cache"))
    for _ in range(2):
        reads.clear()
        assert Vectors.load(path).word_id("w8") == 8
        assert "vectors.npy" in reads


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(tmp_path / "cache"))
