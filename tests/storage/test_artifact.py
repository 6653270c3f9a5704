"""Result folders: complete or absent, and every corruption found and named."""

import ctypes
import errno
import hashlib
import itertools
import json
import os
import shutil
import sys
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from support.killing import is_killed_at, run_in_child

from nlpseq.errors import ArtifactError, ConfigError, ResourceError
from nlpseq.storage import artifact
from nlpseq.storage.locks import path_lock, remove_stale_temporaries
from nlpseq.storage.manifest import file_sha256, read_json, write_json


def make(path, text="hello", meta=MappingProxyType({}), **options):
    with artifact.create(path, "test", 3, **options) as folder:
        (folder.path / "text.txt").write_text(text)
        folder.write_array("numbers.npy", np.arange(5))
        folder.write_meta({"question": "what?", "Umlaut": "ä"} | meta)
    return path


@pytest.fixture
def made(tmp_path):
    return make(tmp_path / "made")


@pytest.fixture(params=["exchange", "two renames"])
def file_system(request, monkeypatch):
    """Commit by an exchange of names, and as on a file system without an exchange."""
    if request.param == "two renames":
        monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    elif sys.platform != "linux":
        pytest.skip("only Linux exchanges names")
    return request.param


def names(path):
    return sorted(each.name for each in path.iterdir())


def text_of(path):
    """Return the text of a result that passes all checks."""
    artifact.load_meta(path, "test", 3)
    return (path / "text.txt").read_text()


# --- writing


def test_created_folder_has_manifest_and_loads(made):
    meta = artifact.load_meta(made, "test", 3)
    assert meta["format"] == "nlpseq-test"
    assert meta["format_version"] == 3
    assert meta["question"] == "what?"
    assert meta["nlpseq_version"]
    assert names(made) == ["MANIFEST.json", "meta.json", "numbers.npy", "text.txt"]
    listed = json.loads((made / "MANIFEST.json").read_text())["files"]
    assert sorted(listed) == ["meta.json", "numbers.npy", "text.txt"]
    assert listed["text.txt"] == {
        "bytes": 5,
        "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    }
    assert "ä" in (made / "meta.json").read_text("utf-8")  # because people read the file


def test_create_makes_parents(tmp_path):
    assert artifact.peek_meta(make(tmp_path / "a" / "b" / "made"))


@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyboardInterrupt(), BrokenPipeError()], ids=["error", "Ctrl-C", "pipe"]
)
def test_failure_inside_keeps_the_old_result(tmp_path, error):
    made = tmp_path / "made"
    for expected in ([], ["made"]):
        with pytest.raises(type(error)) as caught, artifact.create(made, "test", 3, force=True) as folder:
            folder.write_meta({})
            raise error
        assert caught.value is error
        assert names(tmp_path) == expected
        assert not expected or text_of(made) == "hello"
        make(made, force=True)


@pytest.mark.parametrize(
    "file_system", ["exchange", pytest.param("two renames", marks=pytest.mark.slow)], indirect=True
)
def test_kill_at_every_step_leaves_old_or_new(tmp_path, file_system):
    found = list[str]()
    for number in itertools.count(1):
        path = make(tmp_path / str(number) / "made", "old")
        was_killed = is_killed_at(number, lambda path=path: make(path, "new", force=True))
        remove_stale_temporaries(path.parent)
        assert names(path.parent) == ["made"]
        found.append(text_of(path))
        if not was_killed:
            break
    assert {*found} == {"old", "new"} and found == sorted(found, reverse=True)


@pytest.mark.slow
def test_kill_at_every_step_of_a_first_result(tmp_path):
    for number in itertools.count(1):
        path = tmp_path / str(number) / "made"
        path.parent.mkdir()
        was_killed = is_killed_at(number, lambda path=path: make(path))
        remove_stale_temporaries(path.parent)
        assert names(path.parent) in ([], ["made"])
        assert not path.exists() or text_of(path) == "hello"
        if not was_killed:
            break
        if path.exists():
            with pytest.raises(ConfigError, match=r"made: already exists\. Use --force"):
                make(path)
        assert text_of(make(path, "again", force=path.exists())) == "again"
    assert text_of(path) == "hello"


@pytest.mark.slow
def test_kill_during_recovery_loses_nothing(tmp_path, monkeypatch):
    """Kill the next holder of the lock, too, if a kill comes between two renames."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    for number in itertools.count(1):
        path = make(tmp_path / str(number) / "made", "old")
        assert is_killed_at(2, lambda path=path: make(path, "new", force=True), ["os.rename"])
        assert not path.exists()
        was_killed = is_killed_at(number, lambda path=path: remove_stale_temporaries(path.parent))
        with pytest.raises(ConfigError, match="already exists"):
            make(path)
        assert names(path.parent) == ["made"] and text_of(path) == "new"
        if not was_killed:
            break
    assert number > 5


def test_recovery_keeps_a_folder_of_others(tmp_path, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    path = make(tmp_path / "made", "old")
    assert is_killed_at(2, lambda: make(path, "new", force=True), ["os.rename"])
    path.mkdir()
    (path / "mine").touch()
    remove_stale_temporaries(tmp_path)
    assert names(path) == ["mine"] and text_of(tmp_path / "made-new") == "new"


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "broken"), KeyboardInterrupt()], ids=["error", "Ctrl-C"]
)
def test_failed_second_rename_keeps_the_old_result(made, monkeypatch, error):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    real = Path.rename

    def rename(self, target):
        if target == made and self.name == "made":
            raise error
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises((ResourceError, KeyboardInterrupt)):
        make(made, "new", force=True)
    assert names(made.parent) == ["made"]
    assert text_of(made) == "hello"


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "broken"), KeyboardInterrupt()], ids=["error", "Ctrl-C"]
)
def test_result_that_cannot_be_put_back_stays_on_disk(made, monkeypatch, error):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    real = Path.rename

    def rename(self, target):
        if target == made:
            raise error
        return real(self, target)

    with monkeypatch.context() as patch, pytest.raises((ResourceError, KeyboardInterrupt)):
        patch.setattr(Path, "rename", rename)
        make(made, "new", force=True)
    with path_lock(made):  # the next holder of the lock completes the overwrite
        assert text_of(made) == "new"
    assert names(made.parent) == ["made"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges names")
def test_overwrite_exchanges_names_in_one_step(made, monkeypatch):
    real = Path.rename

    def rename(self, target):
        assert made not in (self, target), "for a moment there is no result"
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    make(made, "new", force=True)
    assert text_of(made) == "new" and names(made.parent) == ["made"]


def test_existing_folder_needs_force(made, file_system):
    with pytest.raises(ConfigError, match=r"made: already exists\. Use --force to overwrite it"):
        make(made, "new")
    assert text_of(made) == "hello"
    make(made, "new", force=True)
    assert text_of(made) == "new"
    assert names(made.parent) == ["made"]


def test_locked_path_is_refused(made):
    def write():
        with pytest.raises(ConfigError, match="is being written by another process"):
            make(made, "new", force=True)
        artifact.discard(made)

    with path_lock(made):
        assert run_in_child(write) == 0
        assert text_of(made) == "hello"
        make(made, "newer", force=True)  # because the holder may lock again
    assert text_of(made) == "newer"


@pytest.mark.parametrize(
    "content",
    [{"a.txt": "mine"}, {"meta.json": '{"title": "mine"}'}, {".git": "mine"}],
    ids=["text", "meta", "hidden"],
)
def test_folder_of_others_is_never_overwritten(tmp_path, content):
    other = tmp_path / "other"
    other.mkdir()
    for name, text in content.items():
        (other / name).write_text(text)
    with pytest.raises(ConfigError, match="other: exists and is not a folder written by nlpseq"):
        make(other, force=True)
    assert names(other) == list(content)
    assert names(tmp_path) == ["other"]


def test_file_is_never_overwritten(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is not a folder written by nlpseq"):
        make(tmp_path / "file", force=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_empty_folder_is_free(tmp_path, file_system):
    (tmp_path / "empty").mkdir()
    assert text_of(make(tmp_path / "empty")) == "hello"


def test_link_stays_and_its_target_is_overwritten(made):
    link = made.parent / "link"
    link.symlink_to(made)
    make(link, "new", force=True)
    assert link.is_symlink()
    assert text_of(made) == "new"
    assert names(made.parent) == ["link", "made"]


def test_error_names_unwritable_path(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(
        ResourceError, match=r"file/made: cannot be written \(.*\)\. Choose another path with -o, OUT"
    ):
        make(tmp_path / "file" / "made")


def test_full_disk_error_names_path_and_cause(tmp_path):
    with (
        pytest.raises(ResourceError, match=r"^.*/made/inner: the disk ran full, and nothing was changed\."),
        artifact.atomic_directory(tmp_path / "made") as new,
    ):
        new.mkdir()
        with artifact.create(new / "inner", "test", 3):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == []


def test_foreign_file_is_not_removed_with_a_result(made):
    (made / "notes.txt").write_text("mine")
    (made / ".hidden").write_text("of some program")
    with pytest.raises(ConfigError, match=r"made: holds 'notes.txt', which nlpseq did not write.*Move this"):
        make(made, "new", force=True)
    (made / "notes.txt").unlink()
    make(make(made, "new", force=True) / "inner")  # for example counts in an encoded corpus
    make(made, "newer", force=True)
    assert text_of(made) == "newer"


@pytest.mark.parametrize("force", [False, True])
def test_result_is_kept_beside_a_path_taken_during_work(tmp_path, force):
    path = tmp_path / "made"
    with (
        pytest.raises(ConfigError, match=r"The new result is in (.*)\.") as found,
        artifact.create(path, "test", 3, force=force) as folder,
    ):
        folder.write_meta({"is": "new"})
        path.mkdir()
        (path / "mine").write_text("mine")
    assert (path / "mine").read_text() == "mine"
    kept = Path(str(found.value).rpartition(" is in ")[2].removesuffix("."))
    assert artifact.load_meta(kept, "test", 3)["is"] == "new"
    assert sorted(names(tmp_path)) == sorted(["made", kept.name])


# --- checkpoints


def make_checkpoint(run, text="half", **options):
    return make(run / "checkpoint", text, meta={"complete": False}, **options)


def test_first_checkpoint_is_not_a_result(tmp_path, file_system):
    run = tmp_path / "run"
    make_checkpoint(run, "1")
    make_checkpoint(run, "2", force=True)
    assert names(run) == ["checkpoint"] and text_of(run / "checkpoint") == "2"
    assert not artifact.is_result(run)
    with pytest.raises(
        ArtifactError, match=r"run: unfinished run without a result\. Continue with .* --resume"
    ):
        artifact.load_meta(run, "test", 3)
    with pytest.raises(ConfigError, match="already exists"):
        make(run, "complete")
    make(run, "complete", force=True)
    assert text_of(run) == "complete" and "checkpoint" not in names(run)
    assert names(tmp_path) == ["run"]


def test_checkpoint_inside_result_goes_with_overwriting(made, file_system):
    make_checkpoint(made, "half")
    assert text_of(made) == "hello" and text_of(made / "checkpoint") == "half"
    make(made, "new", force=True)
    assert text_of(made) == "new" and "checkpoint" not in names(made)


def test_kill_during_checkpoint_keeps_the_result(made):
    for number in itertools.count(1):
        was_killed = is_killed_at(number, lambda: make_checkpoint(made, "half", force=True))
        assert text_of(made) == "hello"
        with path_lock(made):
            assert set(names(made)) - {"checkpoint"} == {
                "MANIFEST.json",
                "meta.json",
                "numbers.npy",
                "text.txt",
            }
        if not was_killed:
            break
    assert text_of(made / "checkpoint") == "half"


@pytest.mark.parametrize("file", ["notes.txt", "checkpoint/notes.txt"])
def test_foreign_file_in_an_unfinished_run_is_kept(tmp_path, file):
    run = make_checkpoint(tmp_path / "run").parent
    (run / file).touch()
    with pytest.raises(ConfigError, match=r"holds 'notes\.txt', which nlpseq did not write"):
        make(run, force=True)
    assert (run / file).exists()


def test_hidden_file_in_an_unfinished_run_is_ignored(tmp_path):
    run = make_checkpoint(tmp_path / "run").parent
    (run / ".DS_Store").touch()
    make(run, "complete", force=True)
    assert text_of(run) == "complete"


def test_complete_result_named_checkpoint_is_kept(tmp_path):
    make(tmp_path / "out" / "checkpoint")
    with pytest.raises(ConfigError, match="not a folder written by nlpseq"):
        make(tmp_path / "out", force=True)


def test_folder_with_a_temporary_of_another_output_is_occupied(tmp_path):
    with artifact.create(tmp_path / "models" / "one", "test", 3) as folder:
        with pytest.raises(ConfigError, match="not a folder written by nlpseq"):
            make(tmp_path / "models")
        folder.write_meta({})
    assert names(tmp_path / "models") == ["one"]


def test_checkpoint_does_not_restart_a_reader(made):
    def load():
        calls.append(1)
        make_checkpoint(made, force=True)
        return text_of(made)

    calls = []
    assert artifact.load_consistent(made, load) == "hello" and len(calls) == 1


# --- disk


@pytest.mark.parametrize("early", [False, True])
def test_failed_fsync_leaves_no_files(tmp_path, monkeypatch, early):
    fsync = os.fsync

    def refuse(handle):
        if Path(f"/proc/self/fd/{handle}").readlink().name == "numbers.npy":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    with (
        pytest.raises(ResourceError, match="ran full"),
        artifact.create(tmp_path / "made", "test", 3) as folder,
    ):
        folder.write_array("numbers.npy", np.arange(9))
        if early:
            folder.complete("numbers.npy", file_sha256(folder.path / "numbers.npy"))
        folder.write_meta({})
    assert names(tmp_path) == []


def test_too_small_disk_is_refused_before_writing(tmp_path):
    artifact.check_free_disk(tmp_path / "made", 1)
    with pytest.raises(
        ResourceError, match=r"MB free and this needs about 1,000,000,000,000\.0 MB\. Free some space"
    ):
        artifact.check_free_disk(tmp_path / "made", 10**18)


def test_killed_discard_removes_all_or_nothing(tmp_path):
    for number in itertools.count(1):
        path = make(tmp_path / "made", force=True)
        was_killed = is_killed_at(number, lambda path=path: artifact.discard(path))
        remove_stale_temporaries(tmp_path)
        assert not path.exists() or text_of(path) == "hello"
        if not was_killed:
            break
    assert names(tmp_path) == []
    artifact.discard(path)


def test_json_keeps_file_names_without_unicode(tmp_path):
    name = os.fsdecode(b"caf\xe9.txt")
    write_json(tmp_path / "x.json", {"source": name})
    assert read_json(tmp_path / "x.json") == {"source": name}


# --- loading


def edit_manifest(made, change):
    manifest = json.loads((made / "MANIFEST.json").read_text())
    change(manifest["files"])
    (made / "MANIFEST.json").write_text(json.dumps(manifest))


def rewrite_meta(made, **changes):
    write_json(made / "meta.json", artifact.peek_meta(made) | changes)


CORRUPTIONS = {
    "not a folder": (lambda made: shutil.rmtree(made), r"made: is not a folder written by nlpseq\. Name a"),
    "no meta": (
        lambda made: (made / "meta.json").unlink(),
        r"meta\.json: is missing, .*not a complete result",
    ),
    "no manifest": (lambda made: (made / "MANIFEST.json").unlink(), r"MANIFEST\.json: is missing,"),
    "missing file": (
        lambda made: (made / "text.txt").unlink(),
        r"text\.txt: is missing\. Run the command",
    ),
    "truncated file": (
        lambda made: (made / "text.txt").write_text("hell"),
        r"text\.txt: has 4 bytes, its manifest says 5",
    ),
    "changed file": (
        lambda made: (made / "text.txt").write_text("hellp"),
        r"text\.txt: does not match its sha256",
    ),
    "changed meta": (lambda made: rewrite_meta(made, question="When?"), r"meta\.json: (has|does not match)"),
    "no JSON": (lambda made: (made / "meta.json").write_text("{"), r"meta\.json: cannot be read as JSON"),
    "no UTF-8": (
        lambda made: (made / "meta.json").write_bytes(b"\xff"),
        r"meta\.json: cannot be read as JSON",
    ),
    "deep JSON": (lambda made: (made / "meta.json").write_text("[" * 100_000), r"cannot be read as JSON"),
    "no object": (
        lambda made: (made / "meta.json").write_text("[]"),
        r"meta\.json: does not hold a JSON object",
    ),
    "other kind": (
        lambda made: rewrite_meta(made, format="nlpseq-tokens"),
        r"made: holds an encoded corpus, not test\.",
    ),
    "no kind": (
        lambda made: (made / "meta.json").write_text("{}"),
        r"made: holds the unknown format None, not",
    ),
    "newer": (
        lambda made: rewrite_meta(made, format_version=4, nlpseq_version="9.9"),
        r"has format version 4, this nlpseq reads 3\. Use the version that wrote it \(9\.9\)",
    ),
    "manifest without files": (
        lambda made: (made / "MANIFEST.json").write_text('{"files": []}'),
        r"MANIFEST\.json: lists no files",
    ),
    "manifest without meta": (
        lambda made: edit_manifest(made, lambda files: files.pop("meta.json")),
        "lists no files",
    ),
    "way out": (
        lambda made: edit_manifest(made, lambda files: files.update({"../x": files["text.txt"]})),
        r"MANIFEST\.json: has a bad entry '\.\./x'",
    ),
    "way to the root": (
        lambda made: edit_manifest(made, lambda files: files.update({"/etc/passwd": files["text.txt"]})),
        r"MANIFEST\.json: has a bad entry '/etc/passwd'",
    ),
    "bad entry": (
        lambda made: edit_manifest(made, lambda files: files.update({"text.txt": 5})),
        "has a bad entry",
    ),
}


@pytest.mark.parametrize(("corrupt", "message"), CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_error_names_each_corruption(made, corrupt, message):
    corrupt(made)
    with pytest.raises(ArtifactError, match=message):
        artifact.load_meta(made, "test", 3)


def test_load_finds_every_flipped_bit(made):
    for name in names(made):
        content = (made / name).read_bytes()
        for place in range(len(content)):
            (made / name).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            if name == "MANIFEST.json" and has_same_json(made / name, content):
                continue  # because a blank became another blank
            with pytest.raises(ArtifactError):
                artifact.load_meta(made, "test", 3)
        (made / name).write_bytes(content)
    artifact.load_meta(made, "test", 3)


def has_same_json(file, content):
    try:
        return json.loads(file.read_text()) == json.loads(content)
    except ValueError:
        return False


def test_error_names_unreadable_file(made, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(hashlib, "file_digest", refuse)
    with pytest.raises(ArtifactError, match=r"cannot be read \(Permission denied"):
        artifact.load_meta(made, "test", 3)


@pytest.mark.parametrize("name", ["hashlib.file_digest", "json.loads"])
def test_too_many_open_files_is_not_corruption(made, monkeypatch, name):
    def refuse(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(name, refuse)
    with pytest.raises(OSError, match="Too many open files"):
        artifact.load_meta(made, "test", 3)


def test_file_outside_the_manifest_is_refused(made):
    (made / "notes.txt").write_text("is not read anyway")
    artifact.load_meta(made, "test", 3)
    (made / "more.npy").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"more\.npy: is not in the manifest of its folder\. Remove"):
        artifact.load_meta(made, "test", 3)


def test_named_pipe_is_not_opened(made):
    (made / "meta.json").unlink()
    os.mkfifo(made / "meta.json")
    with pytest.raises(ArtifactError, match=r"meta\.json: cannot be read as JSON \(not a file of at most"):
        artifact.load_meta(made, "test", 3)


def test_overwritten_folder_is_read_again(made):
    found = []

    def load():
        found.append((made / "text.txt").read_text())
        if len(found) < 3:
            make(made, f"made {len(found)}", force=True)
        if len(found) == 2:
            raise ArtifactError("half of one result, half of another")
        return found[-1]

    assert artifact.load_consistent(made, load) == "made 2"
    assert found == ["hello", "made 1", "made 2"]


def test_corrupt_folder_is_read_once(made):
    def load():
        found.append(made)
        raise ArtifactError("corrupt")

    found = []
    with pytest.raises(ArtifactError, match="corrupt"):
        artifact.load_consistent(made, load)
    assert len(found) == 1


def test_load_without_verify_compares_sizes_only(made):
    (made / "text.txt").write_text("hellp")
    artifact.load_meta(made, "test", 3, verify=False)
    (made / "text.txt").write_text("hell")
    with pytest.raises(ArtifactError, match="has 4 bytes"):
        artifact.load_meta(made, "test", 3, verify=False)
