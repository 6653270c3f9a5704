"""Result folders: whole or not there, and every damage found and named."""

import errno
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from nlpseq.errors import ArtifactError, ConfigError, ResourceError
from nlpseq.storage import artifact, manifest
from nlpseq.storage.manifest import file_sha256, read_json, write_json
from nlpseq.storage.stale import NEW


def make(path, text="hello", **options):
    with artifact.create(path, "test", 3, **options) as folder:
        (folder.path / "text.txt").write_text(text)
        folder.write_array("numbers.npy", np.arange(5))
        folder.write_meta({"question": "what?", "Umlaut": "ä"})
    return path


@pytest.fixture
def made(tmp_path):
    return make(tmp_path / "made")


def names(path):
    return sorted(each.name for each in path.iterdir())


# --- writing


def test_a_folder_is_sealed_and_loads(made):
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
    assert "ä" in (made / "meta.json").read_text("utf-8")  # for people to read


def test_parents_are_made(tmp_path):
    assert artifact.peek_meta(make(tmp_path / "a" / "b" / "made"))


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_a_failure_inside_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)), artifact.create(tmp_path / "made", "test", 3) as folder:
        folder.write_meta({})
        raise error
    assert names(tmp_path) == []


def test_a_broken_pipe_inside_is_no_trouble_of_the_disk(tmp_path):
    with pytest.raises(BrokenPipeError), artifact.create(tmp_path / "made", "test", 3):
        raise BrokenPipeError
    assert names(tmp_path) == []


def test_a_failure_inside_keeps_the_old_folder(made):
    with pytest.raises(ValueError), artifact.create(made, "test", 3, force=True) as folder:
        folder.write_meta({})
        raise ValueError
    assert names(made.parent) == ["made"]
    artifact.load_meta(made, "test", 3)


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "broken"), KeyboardInterrupt()], ids=["error", "Ctrl-C"]
)
def test_a_failure_of_the_last_rename_keeps_the_old_folder(made, monkeypatch, error):
    monkeypatch.setattr(artifact, "_exchanged", lambda *_: False)  # as on a system that cannot
    real = type(made).rename

    def rename(self, target):
        if target == made and self.parent.name == NEW:
            raise error
        return real(self, target)

    monkeypatch.setattr(type(made), "rename", rename)
    with pytest.raises((ResourceError, KeyboardInterrupt)):
        make(made, "new", force=True)
    assert names(made.parent) == ["made"]
    assert (made / "text.txt").read_text() == "hello"


@pytest.mark.skipif(sys.platform != "linux", reason="renames in two steps elsewhere")
def test_an_old_folder_is_replaced_in_one_step(made, monkeypatch):
    def rename(self, target):
        raise AssertionError(f"for a moment there is no {target}")

    monkeypatch.setattr(type(made), "rename", rename)
    make(made, "new", force=True)
    assert (made / "text.txt").read_text() == "new"
    assert names(made.parent) == ["made"]


def test_an_existing_folder_needs_force(made):
    with pytest.raises(ConfigError, match=r"made already exists\. Replace it with --force"):
        make(made, "new")
    assert (made / "text.txt").read_text() == "hello"
    make(made, "new", force=True)
    assert (made / "text.txt").read_text() == "new"
    assert names(made.parent) == ["made"]
    artifact.load_meta(made, "test", 3)


@pytest.mark.parametrize(
    "content", [{"a.txt": "mine"}, {"meta.json": '{"title": "mine"}'}], ids=["text", "meta"]
)
def test_a_folder_of_others_is_never_replaced(tmp_path, content):
    other = tmp_path / "other"
    other.mkdir()
    for name, text in content.items():
        (other / name).write_text(text)
    with pytest.raises(ConfigError, match="other exists and is not a folder written by nlpseq"):
        make(other, force=True)
    assert names(other) == list(content)
    assert names(tmp_path) == ["other"]


def test_a_file_is_never_replaced(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is not a folder written by nlpseq"):
        make(tmp_path / "file", force=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_is_replaced_by_force(tmp_path):
    (tmp_path / "empty").mkdir()
    artifact.load_meta(make(tmp_path / "empty", force=True), "test", 3)


def test_a_link_stays_and_its_folder_is_replaced(made):
    link = made.parent / "link"
    link.symlink_to(made)
    make(link, "new", force=True)
    assert link.is_symlink()
    assert (made / "text.txt").read_text() == "new"
    assert names(made.parent) == ["link", "made"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        ResourceError, match=r"file/made cannot be written: .*\. Name another place: by -o, as OUT"
    ):
        make(tmp_path / "file" / "made")


def test_a_full_disk_is_named(tmp_path):
    with (
        pytest.raises(ResourceError, match=r"the disk ran full while writing .*made; nothing"),
        artifact.create(tmp_path / "made", "test", 3),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == []


def test_what_others_put_into_a_folder_is_not_removed_with_it(made):
    (made / "notes.txt").write_text("mine")
    (made / ".hidden").write_text("of some program")
    with pytest.raises(ConfigError, match=r"made holds 'notes.txt', which is not nlpseq's.*Move that"):
        make(made, "new", force=True)
    (made / "notes.txt").unlink()
    make(make(made, "new", force=True) / "inner")  # such as counts in an encoded corpus
    make(made, "newer", force=True)
    assert (made / "text.txt").read_text() == "newer"


@pytest.mark.parametrize("force", [False, True])
def test_what_came_in_the_way_meanwhile_stays_and_so_does_what_was_made(tmp_path, force):
    path = tmp_path / "made"
    with (
        pytest.raises(ConfigError, match=r"What was made meanwhile is in (.*)\.") as found,
        artifact.create(path, "test", 3, force=force) as folder,
    ):
        folder.write_meta({"is": "new"})
        path.mkdir()
        (path / "mine").write_text("mine")
    assert (path / "mine").read_text() == "mine"
    kept = Path(str(found.value).rpartition(" is in ")[2].removesuffix("."))
    assert artifact.load_meta(kept, "test", 3)["is"] == "new"
    assert sorted(names(tmp_path)) == sorted(["made", kept.name])


@pytest.mark.parametrize("early", [False, True])
def test_a_file_that_does_not_reach_the_disk_leaves_nothing(tmp_path, monkeypatch, early):
    reached = artifact._fsync

    def refuse(path):
        if path.name == "numbers.npy":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        reached(path)

    monkeypatch.setattr(artifact, "_fsync", refuse)
    with (
        pytest.raises(ResourceError, match="ran full"),
        artifact.create(tmp_path / "made", "test", 3) as folder,
    ):
        folder.write_array("numbers.npy", np.arange(9))
        if early:
            folder.complete("numbers.npy", file_sha256(folder.path / "numbers.npy"))
        folder.write_meta({})
    assert names(tmp_path) == []


def test_too_little_disk_is_said_before_the_work(tmp_path):
    artifact.check_free_disk(tmp_path / "made", 1)
    with pytest.raises(
        ResourceError, match=r"MB free and this needs about 1,000,000,000,000\.0 MB\. Free some space"
    ):
        artifact.check_free_disk(tmp_path / "made", 10**18)


def test_file_names_that_are_no_unicode_survive(tmp_path):
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


DAMAGES = {
    "not a folder": (lambda made: shutil.rmtree(made), r"made is not a folder written by nlpseq\. Name the"),
    "no meta": (lambda made: (made / "meta.json").unlink(), r"meta\.json is missing, .*no finished result"),
    "no manifest": (lambda made: (made / "MANIFEST.json").unlink(), r"MANIFEST\.json is missing,"),
    "missing file": (
        lambda made: (made / "text.txt").unlink(),
        r"text\.txt is missing\. Make the folder anew",
    ),
    "cut file": (
        lambda made: (made / "text.txt").write_text("hell"),
        r"text\.txt has 4 bytes, its manifest says 5",
    ),
    "changed file": (
        lambda made: (made / "text.txt").write_text("hellp"),
        r"text\.txt does not match its sha256",
    ),
    "changed meta": (lambda made: rewrite_meta(made, question="When?"), r"meta\.json (has|does not match)"),
    "no JSON": (lambda made: (made / "meta.json").write_text("{"), r"meta\.json cannot be read as JSON"),
    "no UTF-8": (
        lambda made: (made / "meta.json").write_bytes(b"\xff"),
        r"meta\.json cannot be read as JSON",
    ),
    "deep JSON": (lambda made: (made / "meta.json").write_text("[" * 100_000), r"cannot be read as JSON"),
    "no object": (
        lambda made: (made / "meta.json").write_text("[]"),
        r"meta\.json does not hold a JSON object",
    ),
    "other kind": (
        lambda made: rewrite_meta(made, format="nlpseq-tokens"),
        r"made holds an encoded corpus, not the unknown format",
    ),
    "no kind": (
        lambda made: (made / "meta.json").write_text("{}"),
        r"made holds the unknown format None, not",
    ),
    "newer": (
        lambda made: rewrite_meta(made, format_version=4, nlpseq_version="9.9"),
        r"has format version 4 and this nlpseq reads 3\. Use the version that wrote it \(9\.9\)",
    ),
    "manifest without files": (
        lambda made: (made / "MANIFEST.json").write_text('{"files": []}'),
        r"MANIFEST\.json lists no files",
    ),
    "manifest without meta": (
        lambda made: edit_manifest(made, lambda files: files.pop("meta.json")),
        "lists no files",
    ),
    "way out": (
        lambda made: edit_manifest(made, lambda files: files.update({"../x": files["text.txt"]})),
        r"MANIFEST\.json has a bad entry '\.\./x'",
    ),
    "way to the root": (
        lambda made: edit_manifest(made, lambda files: files.update({"/etc/passwd": files["text.txt"]})),
        r"MANIFEST\.json has a bad entry '/etc/passwd'",
    ),
    "bad entry": (
        lambda made: edit_manifest(made, lambda files: files.update({"text.txt": 5})),
        "has a bad entry",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_each_damage_is_named(made, damage, message):
    damage(made)
    with pytest.raises(ArtifactError, match=message):
        artifact.load_meta(made, "test", 3)


def test_every_flipped_bit_is_found(made):
    for name in names(made):
        content = (made / name).read_bytes()
        for place in range(len(content)):
            (made / name).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            if name == "MANIFEST.json" and says_the_same(made / name, content):
                continue  # a blank that became another blank
            with pytest.raises(ArtifactError):
                artifact.load_meta(made, "test", 3)
        (made / name).write_bytes(content)
    artifact.load_meta(made, "test", 3)


def says_the_same(file, content):
    try:
        return json.loads(file.read_text()) == json.loads(content)
    except ValueError:
        return False


def test_a_file_that_cannot_be_read_is_named(made, monkeypatch):
    def refuse(file):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(manifest, "file_sha256", refuse)
    with pytest.raises(ArtifactError, match="cannot be read: Permission denied"):
        artifact.load_meta(made, "test", 3)


@pytest.mark.parametrize("name", ["file_sha256", "json.loads"])
def test_a_shortage_of_the_machine_is_no_damage(made, monkeypatch, name):
    def refuse(_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(f"nlpseq.storage.manifest.{name}", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        artifact.load_meta(made, "test", 3)


def test_a_file_outside_the_manifest_is_not_read(made):
    (made / "notes.txt").write_text("is not read anyway")
    artifact.load_meta(made, "test", 3)
    (made / "more.npy").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"more\.npy is not in its manifest\. Remove it"):
        artifact.load_meta(made, "test", 3)


def test_what_is_no_file_is_not_waited_for(made):
    (made / "meta.json").unlink()
    os.mkfifo(made / "meta.json")
    with pytest.raises(ArtifactError, match=r"meta\.json cannot be read as JSON \(it is no file, or vast"):
        artifact.load_meta(made, "test", 3)


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(made):
    found = []

    def load():
        found.append((made / "text.txt").read_text())
        if len(found) < 3:
            make(made, f"made {len(found)}", force=True)
        if len(found) == 2:
            raise ArtifactError("half of the one, half of the other")
        return found[-1]

    assert artifact.load_consistent(made, load) == "made 2"
    assert found == ["hello", "made 1", "made 2"]


def test_a_folder_that_is_damaged_is_read_once(made):
    def load():
        found.append(made)
        raise ArtifactError("damaged")

    found = []
    with pytest.raises(ArtifactError, match="damaged"):
        artifact.load_consistent(made, load)
    assert len(found) == 1


def test_without_verify_only_the_sizes_are_held(made):
    (made / "text.txt").write_text("hellp")
    artifact.load_meta(made, "test", 3, verify=False)
    (made / "text.txt").write_text("hell")
    with pytest.raises(ArtifactError, match="has 4 bytes"):
        artifact.load_meta(made, "test", 3, verify=False)
