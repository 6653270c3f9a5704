"""Downloads of the catalog: resumed, checked, unpacked, and committed in one step."""

import io
import re
import shutil
import tarfile
import threading
import zipfile
from dataclasses import replace
from hashlib import sha256
from importlib import import_module
from types import SimpleNamespace

import pytest
from support.web_server import CONTENT, Reply

from nlpseq.core.cache_dir import cache_dir
from nlpseq.errors import ConfigError, DataError, ResourceError
from nlpseq.reading.corpus import open_corpus
from nlpseq.reading.remote import Retries
from nlpseq.storage.locks import path_lock

corpora = import_module("nlpseq.corpora")
downloads = import_module("nlpseq.corpora.download")

FAST = Retries(attempts=2, wait_s=0.0, timeout_s=20.0)
HALF = len(CONTENT) // 2
SHA256 = sha256(CONTENT).hexdigest()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return an empty folder for downloads."""
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(tmp_path / "cache"))
    return cache_dir("corpora")


def entry_of(*urls: str, size: int | None = None, digest: str | None = None, **values):
    file = corpora.Download(urls, size, digest)
    return corpora.Entry("news", "a text", "CC0", downloads=(file,), **values)


def get(entry, **options):
    return downloads.download(entry, retries=FAST, **options)


def zip_of(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"folder/{name}.txt", content)
    return stream.getvalue()


def tar_of(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"../../{name}.txt")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


# catalog


def test_catalog_is_complete_and_checked():
    entries = {entry.name: entry for entry in corpora.names()}
    assert {"text8", "enwik8", "enwik9", "wikitext-2", "wikitext-103", "one-billion-words"} <= {*entries}
    assert {"kowiki", "questions-words"} <= {*entries}
    for entry in entries.values():
        assert entry.summary and entry.licence
        assert entry.citation or not entry.downloads
        for file in entry.downloads:
            assert all(re.match(r"https?://[\w.-]+/\S+$", url) for url in file.urls)
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.sha256 or file.urls[0].startswith("https:")


def test_corpus_not_downloaded_names_the_command(folder):
    for name in ("text8", "wikitext-2/valid"):
        own = name.partition("/")[0]
        with pytest.raises(
            DataError, match=rf"{own}: is not downloaded yet\. Type: nlpseq corpora get {own}"
        ):
            open_corpus(name)
    with pytest.raises(DataError, match=r"wikitext-2/dev: no such file, folder or corpus"):
        open_corpus("wikitext-2/dev")


# downloads


def test_download_is_checked_and_committed(web_server, folder):
    entry, added = entry_of(web_server.url("/a.txt"), size=len(CONTENT), digest=SHA256), list[int]()
    (received,) = get(entry, progress=added.append)
    assert (received.bytes, received.sha256, sum(added)) == (len(CONTENT), SHA256, len(CONTENT))
    assert downloads.downloaded(entry).read_bytes() == CONTENT
    assert sorted(path.name for path in folder.iterdir()) == ["news", "news.json"]
    assert get(entry) == []


def test_interrupted_download_goes_on(web_server, folder):
    entry = entry_of(web_server.url(), digest=SHA256)

    def stop(count: int, added: list[int] = []) -> None:  # noqa: B006  # counts over all calls
        added.append(count)
        if HALF < sum(added) < len(CONTENT):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(entry, progress=stop)
    assert not downloads.is_downloaded(entry)
    web_server.requests.clear()
    get(entry, progress=lambda _: None)
    resumed = [request["Range"] for request in web_server.requests if "Range" in request]
    assert len(resumed) == 1 and int(resumed[0][6:-1]) > HALF
    assert downloads.downloaded(entry).read_bytes() == CONTENT


def test_new_version_is_downloaded_from_the_start(web_server, folder):
    entry = entry_of(web_server.url())
    web_server.replies = [Reply(), Reply(cut=HALF), Reply(status=404)]
    with pytest.raises(DataError, match=r"news: was not downloaded\. .* nlpseq corpora get news to go on"):
        get(entry)
    web_server.replies = [Reply(CONTENT[::-1], etag='"2"')]
    get(entry)
    assert downloads.downloaded(entry).read_bytes() == CONTENT[::-1]


def test_mirror_is_used_if_the_first_server_fails(web_server, folder):
    entry = entry_of(web_server.url("/gone"), web_server.url("/mirror"), digest=SHA256)
    web_server.replies = [Reply(status=404), Reply()]
    assert get(entry)[0].urls == (web_server.url("/mirror"),)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [({"digest": "0" * 64}, "has the sha256 .* and 000.* is expected"), ({"size": 7}, "the catalog says 7")],
)
def test_wrong_file_is_refused(web_server, folder, wrong, problem):
    with pytest.raises(DataError, match=problem):
        get(entry_of(web_server.url(), **wrong))
    assert not (folder / "news.partial" / "0").exists()


def test_unknown_sha256_is_kept_for_the_next_time(web_server, folder):
    entry = entry_of(web_server.url())
    assert downloads.known_sha256(entry) == [None]
    get(entry)
    assert downloads.known_sha256(entry) == [SHA256]
    (folder / "news" / "corpus.txt").unlink()
    (folder / "news").rmdir()
    web_server.replies = [Reply(CONTENT[::-1], etag='"2"')]
    with pytest.raises(DataError, match=rf"and {SHA256} is expected"):
        get(entry)


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_parts_of_an_archive_are_unpacked(web_server, folder, pack):
    web_server.replies = [Reply(pack(train1=b"one\n", train2=b"two\n", valid=b"three\n", other=b"no\n"))]
    entry = entry_of(web_server.url(), parts={"train": "*/train*", "valid": "*/valid.txt"})
    get(entry)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.txt"))
    assert files == ["news/train/train1.txt", "news/train/train2.txt", "news/valid/valid.txt"]
    assert downloads.downloaded(entry) == folder / "news" / "train"
    assert downloads.downloaded(entry, "valid").read_bytes() == b"three\n"


@pytest.mark.parametrize(
    "content", [b"no archive", zip_of(train=CONTENT)[:-1000], tar_of(train=CONTENT)[:-900]]
)
def test_corrupt_archive_is_refused(web_server, folder, content):
    web_server.replies = [Reply(content)]
    with pytest.raises(DataError, match=r"is (corrupt|truncated) .*Copy or download"):
        get(entry_of(web_server.url(), parts={"train": "*/train.txt"}))
    assert sorted(path.name for path in folder.iterdir()) == ["news.partial"]
    web_server.replies = [Reply(zip_of(valid=b""))]
    with pytest.raises(DataError, match=r"holds no \*/train\.txt"):
        get(entry_of(web_server.url(), parts={"train": "*/train.txt"}))


def test_small_disk_is_refused_before_the_first_byte(web_server, folder):
    web_server.replies = [Reply(length=10**18)]
    with pytest.raises(ResourceError, match="Free some space"):
        get(entry_of(web_server.url()))
    assert len(web_server.requests) == 1


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_member_too_large_for_the_disk_is_refused(web_server, folder, pack, monkeypatch):
    free = 10**6  # enough by the size of the archive
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    web_server.replies = [Reply(pack(small=b"one\n", train=b"\0" * (free + 1)))]
    with pytest.raises(ResourceError, match="Free some space"):
        get(entry_of(web_server.url(), parts={"small": "*/small.txt", "train": "*/train.txt"}))
    assert not [*folder.rglob("*.txt")]


def test_second_process_does_not_download_the_same(web_server, folder):
    def other() -> None:
        with path_lock(folder / "news"):
            locked.set()
            done.wait()

    locked, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    locked.wait()
    try:
        with pytest.raises(ConfigError, match="is being written by another process"):
            get(entry_of(web_server.url()))
    finally:
        done.set()
        thread.join()


def test_name_in_the_catalog_is_read_after_its_download(web_server, folder, monkeypatch):
    web_server.replies = [Reply(zip_of(train=b"the text\n", valid=b"more\n"))]
    entry = entry_of(web_server.url("/news.zip"), parts={"train": "*/train.txt", "valid": "*/valid.txt"})
    monkeypatch.setattr(corpora, "names", lambda: [replace(entry, name="other"), entry])
    get(entry)
    assert open_corpus("news").size_bytes() == 9
    assert (open_corpus("news/valid").name, open_corpus("news/valid").size_bytes()) == ("news-valid", 5)
