"""A file of vectors appears whole or not at all, pairs recognize each other, and force alone overwrites."""

import errno
import hashlib
import itertools
import os
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import numpy as np
import pytest
from support.killing import is_killed_at, run_in_child
from support.vocabularies import FILE_NAMES, MATRIX, WORDS, same_bits, write

from nlpseq.errors import ArtifactError, ConfigError, ResourceError
from nlpseq.storage.locks import path_lock, remove_stale_temporaries
from nlpseq.vectors.formats.registry import read_vectors

PAIRS = {"a.npy": "a.vocab.tsv", "a.tsv": "a.metadata.tsv", "a.npy.gz": "a.vocab.tsv.gz"}


def no_space(*_: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("name", FILE_NAMES)
def test_failed_export_keeps_the_old_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(tmp_path / name, ["old", "words"], MATRIX)
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match=r"already exists\. Use --force"):
        write(tmp_path / name, ["new"], MATRIX[:1])
    for module, call in ((os, "fsync"), (Path, "replace")):
        with monkeypatch.context() as patch, pytest.raises(ResourceError, match="disk ran full"):
            patch.setattr(module, call, no_space)
            write(tmp_path / name, ["new"], MATRIX[:1], force=True)
        assert contents(tmp_path) == before


@pytest.mark.parametrize("name", FILE_NAMES)
def test_failed_first_export_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(ResourceError, match="disk ran full"):
        write(tmp_path / name, WORDS, MATRIX)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILE_NAMES)
def test_file_that_appears_during_export_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fsync = os.fsync

    def another_program_writes(handle: int) -> None:
        (tmp_path / name).write_text("mine")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", another_program_writes)
    with pytest.raises(ConfigError, match=r"already exists\. Use --force"):
        write(tmp_path / name, WORDS, MATRIX)
    assert contents(tmp_path) == {name: b"mine"}


@pytest.mark.parametrize(
    "name", ["a.vec", *(pytest.param(each, marks=pytest.mark.slow) for each in ("a.npy", "a.tsv"))]
)
def test_killed_export_never_mixes_two_exports(tmp_path: Path, name: str) -> None:
    """Kill at every step: the old vectors, the new ones, or an error that says to convert again."""
    old, new, found = (["old", "words"], MATRIX), (["words", "old"], 2 * MATRIX), list[str]()
    for number in itertools.count(1):
        file = tmp_path / str(number) / name
        write(file, *old)
        was_killed = is_killed_at(number, lambda file=file: write(file, *new, force=True))
        remove_stale_temporaries(file.parent)
        assert len(list(file.parent.iterdir())) == 1 + (name in PAIRS)
        try:
            vectors = read_vectors(file)
        except ArtifactError as error:
            assert "Convert the model again" in str(error)
            found.append("mixed")
        else:
            is_new = vectors.vocab.words == new[0]
            assert same_bits(vectors.matrix_VD, (new if is_new else old)[1])
            found.append("new" if is_new else "old")
        if not was_killed:
            break
    assert [key for key, _ in itertools.groupby(found)] == ["old", *["mixed"] * (name in PAIRS), "new"]


@pytest.mark.parametrize("had_old", [False, True])
@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "broken"), KeyboardInterrupt()], ids=["error", "Ctrl-C"]
)
@pytest.mark.parametrize("name", ["a.npy", "a.tsv"])
def test_failed_second_rename_puts_the_first_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException, had_old: bool
) -> None:
    if had_old:
        write(tmp_path / name, ["old", "words"], MATRIX)
    before, replace = contents(tmp_path), Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target.name == name:
            raise error
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises((ResourceError, KeyboardInterrupt)):
        write(tmp_path / name, ["new"], MATRIX[:1], force=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["a.npy", "a.tsv"])
def test_ctrl_c_after_the_second_rename_keeps_the_new_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(tmp_path / name, ["old", "words"], MATRIX)
    replace = Path.replace

    def stop(self: Path, target: Path) -> Path:
        replace(self, target)
        if target.name == name:
            raise KeyboardInterrupt
        return target

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", stop)
        write(tmp_path / name, ["new"], MATRIX[:1], force=True)
    assert read_vectors(tmp_path / name).vocab.words == ["new"]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["a.npy", "a.tsv"])
def test_error_names_a_pair_that_cannot_be_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(tmp_path / name, ["old", "words"], MATRIX)
    replace, calls = Path.replace, itertools.count(1)

    def refuse(self: Path, target: Path) -> Path:
        return replace(self, target) if next(calls) == 1 else no_space()

    with monkeypatch.context() as patch, pytest.raises(ResourceError) as refused:
        patch.setattr(Path, "replace", refuse)
        write(tmp_path / name, ["new"], MATRIX[:1], force=True)
    assert "nothing was changed" not in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path / PAIRS[name]}: is new and {name} is old, because")
    assert "Export both again with --force" in str(refused.value)
    with pytest.raises(ArtifactError, match="do not belong together"):
        read_vectors(tmp_path / name)
    write(tmp_path / name, ["new"], MATRIX[:1], force=True)
    assert read_vectors(tmp_path / name).vocab.words == ["new"]


@pytest.mark.parametrize("old", [["old", "words"], ["old"], ["more", "old", "words"]], ids=len)
@pytest.mark.parametrize("name", ["a.npy", "a.tsv"])
def test_kill_between_the_renames_is_refused_by_readers(tmp_path: Path, name: str, old: list[str]) -> None:
    write(tmp_path / name, old, np.ones((len(old), MATRIX.shape[1]), np.float32))
    assert is_killed_at(
        2, lambda: write(tmp_path / name, ["new", "ones"], 2 * MATRIX, force=True), ["os.rename"]
    )
    with pytest.raises(ArtifactError, match=r"do not belong together.*Convert the model again"):
        read_vectors(tmp_path / name)
    write(tmp_path / name, ["new", "ones"], 2 * MATRIX, force=True)
    assert read_vectors(tmp_path / name).vocab.words == ["new", "ones"]
    assert len(list(tmp_path.iterdir())) == 2


def test_export_removes_stale_temporaries_of_its_folder(tmp_path: Path) -> None:
    assert is_killed_at(1, lambda: write(tmp_path / "a.vec", WORDS, MATRIX), ["os.rename"])
    assert len(list(tmp_path.iterdir())) == 2
    write(tmp_path / "b.vec", WORDS, MATRIX)
    assert [*contents(tmp_path)] == ["b.vec"]


@pytest.mark.parametrize("name", PAIRS)
def test_pair_of_two_exports_is_refused(tmp_path: Path, name: str) -> None:
    """Refuse pairs of the same size, and of the same words in another order."""
    exports = {"one": (WORDS, MATRIX), "two": (WORDS, 2 * MATRIX), "order": (WORDS[::-1], MATRIX[::-1])}
    for folder, export in exports.items():
        write(tmp_path / folder / name, *export)
    for array, words in itertools.permutations(exports, 2):
        file, beside = tmp_path / f"{array} {words}" / name, tmp_path / f"{array} {words}" / PAIRS[name]
        file.parent.mkdir()
        file.write_bytes((tmp_path / array / name).read_bytes())
        beside.write_bytes((tmp_path / words / PAIRS[name]).read_bytes())
        with pytest.raises(ArtifactError) as refused:
            read_vectors(file)
        message = (
            f"{file} and {beside}: do not belong together, because their digests differ. Convert the model"
        )
        assert str(refused.value).startswith(message)


@pytest.mark.parametrize("name", ["a.npy", "a.tsv"])
def test_words_in_another_order_are_refused(tmp_path: Path, name: str) -> None:
    file, *_ = write(tmp_path / name, WORDS, MATRIX).files
    heading, *lines = (tmp_path / PAIRS[name]).read_bytes().splitlines(keepends=True)
    (tmp_path / PAIRS[name]).write_bytes(b"".join([heading, *reversed(lines)]))
    with pytest.raises(ArtifactError, match="their digests differ"):
        read_vectors(file)


@pytest.mark.parametrize("name", PAIRS)
def test_pair_without_digests_is_read(tmp_path: Path, name: str) -> None:
    """Read files of older versions and other tools, and of a person who removed the headings."""
    write(tmp_path / name.removesuffix(".gz"), WORDS, MATRIX)
    beside = tmp_path / PAIRS[name].removesuffix(".gz")
    heading, end, lines = beside.read_bytes().partition(b"\n")
    plain = heading[: heading.index(b"\tarray=")] + end if "npy" in name else b""
    beside.write_bytes(plain + lines)
    found = read_vectors(tmp_path / name.removesuffix(".gz"))
    assert found.vocab.words == WORDS and same_bits(found.matrix_VD, MATRIX)


def test_digests_are_of_numbers_and_words(tmp_path: Path) -> None:
    array = hashlib.sha256(MATRIX.astype("<f4").tobytes()).hexdigest()
    words = hashlib.sha256("one\n둘\n".encode()).hexdigest()
    for name in ("a.npy", "a.tsv"):
        write(tmp_path / name, WORDS, MATRIX)
        heading = (tmp_path / PAIRS[name]).read_text("utf-8").split("\n")[0]
        assert heading.endswith(f"\tarray={array}\twords={words}")


@pytest.mark.parametrize("name", ["a.npy", "a.tsv"])
def test_locked_file_of_a_pair_is_refused(tmp_path: Path, name: str) -> None:
    def write_both() -> None:
        with pytest.raises(ConfigError, match=f"{locked}: is being written by another process"):
            write(tmp_path / name, WORDS, MATRIX)

    for locked in (name, PAIRS[name]):
        with path_lock(tmp_path / locked):
            assert run_in_child(write_both) == 0
    assert contents(tmp_path) == {}


def test_too_small_disk_is_refused_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=15))
    with pytest.raises(ResourceError, match="MB free and this needs"):
        write(tmp_path / "a.vec", WORDS, MATRIX)
    assert list(tmp_path.iterdir()) == []


def test_error_names_unwritable_output(tmp_path: Path) -> None:
    (tmp_path / "a.metadata.tsv").mkdir()
    with pytest.raises(ConfigError, match=r"a\.metadata\.tsv: is a folder"):
        write(tmp_path / "a.tsv", WORDS, MATRIX, force=True)
    (tmp_path / "a.vocab.tsv").touch()
    with pytest.raises(ConfigError, match=r"a\.vocab\.tsv: already exists"):
        write(tmp_path / "a.npy", WORDS, MATRIX)
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot be written"):
        write(tmp_path / "file" / "a.vec", WORDS, MATRIX)
    with pytest.raises(ConfigError, match="a folder, which cannot be gzipped"):
        write(tmp_path / "a.w2v.gz", WORDS, MATRIX)
    with pytest.raises(ResourceError, match=r"(?i)name too long"):
        write(tmp_path / f"{'a' * 250}.npy", WORDS, MATRIX)
    write(tmp_path / "new" / "folder" / "a.vec", WORDS, MATRIX)
    assert (tmp_path / "new" / "folder" / "a.vec").exists()
