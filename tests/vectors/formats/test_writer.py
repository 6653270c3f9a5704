"""Vector files appear complete or not at all, and overwrite nothing without force."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from support.vocabularies import FILE_NAMES, MATRIX, WORDS, same_bits, write

from nlpseq.errors import ConfigError, ResourceError
from nlpseq.vectors.formats.registry import read_vectors


@pytest.mark.parametrize("name", FILE_NAMES)
def test_old_file_stays_until_the_new_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(tmp_path / name, ["old", "words"], MATRIX)
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match=r"already exists\. Replace it with --force"):
        write(tmp_path / name, ["new"], MATRIX[:1])
    for call in ("fsync", "rename", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, no_space)
            patch.setattr(Path, call, no_space, raising=False)
            try:
                write(tmp_path / name, ["new"], MATRIX[:1], force=True)
            except ResourceError:
                assert contents(tmp_path) == before
            else:
                write(tmp_path / name, ["old", "words"], MATRIX, force=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", FILE_NAMES)
def test_file_that_appears_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fsync = os.fsync

    def another_program_writes(handle: int) -> None:
        (tmp_path / name).write_text("mine")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", another_program_writes)
    with pytest.raises(ConfigError, match=r"already exists\. Replace it with --force"):
        write(tmp_path / name, WORDS, MATRIX)
    assert contents(tmp_path) == {name: b"mine"}


def no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("name", ["a.npy", "a.tsv"])
def test_stop_leaves_no_mixed_array_and_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Stop after each rename, by a kill without cleanup and by Ctrl-C with cleanup."""
    old, new = (["old", "words"], MATRIX), (["two", "new"], 2 * MATRIX)
    rename, left = Path.rename, 0

    def stop(self: Path, target: Path) -> Path:
        nonlocal left
        done = rename(self, target)
        left -= 1
        if left == 0:
            assert_complete_or_absent(tmp_path / name, old, new)
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(Path, "rename", stop)
    for renames in range(1, 5):
        left = -1
        write(tmp_path / name, *old, force=True)
        before, left = contents(tmp_path), renames
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / name, *new, force=True)
        assert contents(tmp_path) == before


def assert_complete_or_absent(file: Path, *versions: tuple[list[str], npt.NDArray[np.float32]]) -> None:
    if file.exists():
        found = read_vectors(file)
        assert any(found.vocab.words == words and same_bits(found.matrix_VD, m) for words, m in versions)


def test_failed_first_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renames = iter([Path.rename])
    monkeypatch.setattr(Path, "rename", lambda self, target: next(renames, no_space)(self, target))
    with pytest.raises(ResourceError, match="disk ran full"):
        write(tmp_path / "a.npy", WORDS, MATRIX)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_noticed_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=15))
    with pytest.raises(ResourceError, match="MB free and this needs"):
        write(tmp_path / "a.vec", WORDS, MATRIX)
    assert list(tmp_path.iterdir()) == []


def test_blocked_paths_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.metadata.tsv").mkdir()
    with pytest.raises(ConfigError, match=r"a\.metadata\.tsv is a folder"):
        write(tmp_path / "a.tsv", WORDS, MATRIX, force=True)
    (tmp_path / "a.vocab.tsv").touch()
    with pytest.raises(ConfigError, match=r"a\.vocab\.tsv already exists"):
        write(tmp_path / "a.npy", WORDS, MATRIX)
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot be written"):
        write(tmp_path / "file" / "a.vec", WORDS, MATRIX)
    with pytest.raises(ConfigError, match="would be a folder, which cannot be gzipped"):
        write(tmp_path / "a.w2v.gz", WORDS, MATRIX)
    write(tmp_path / "new" / "folder" / "a.vec", WORDS, MATRIX)
    assert (tmp_path / "new" / "folder" / "a.vec").exists()
