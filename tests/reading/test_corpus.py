"""Corpora: files, folders, globs, pipes and names; content keys."""

import bz2
import gzip
import io
import os
import re
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import pytest
from as_ordinary_user import lose_rights
from support.languages import text_in
from support.texts import read_blocks as read, text_of, write_text

from nlpseq.config import TextConfig
from nlpseq.dataset.encode import preprocess
from nlpseq.errors import DataError
from nlpseq.reading.corpus import ReadReport, open_corpus

CONFIG = TextConfig(normalize="none")
TEXT = "하나 둘\nthree four\n" * 50


def write(folder: Path, content: bytes, name: str = "a.txt") -> Path:
    return write_text(folder / name, content)


# sources


def test_corpus_name_has_no_suffixes(tmp_path):
    corpus = open_corpus(write(tmp_path, b"a b\n", "news.2024.txt.gz"))
    assert corpus.name == "news"
    assert corpus.describe() == str(tmp_path / "news.2024.txt.gz")
    assert corpus.size_bytes() == 4


def test_results_inside_a_folder_are_left_out(tmp_path):
    (tmp_path / "text.txt").write_text("words\n")
    preprocess(open_corpus(tmp_path), TextConfig(min_count=1), tmp_path / "text.tokens")
    (tmp_path / "meta.json").write_text('{"title": "mine"}')
    assert open_corpus(tmp_path).describe() == f"{tmp_path / 'meta.json'} and 1 more file"


@pytest.mark.parametrize("sources", [[""], ["", "-"]])
def test_empty_name_is_refused(sources):
    with pytest.raises(DataError, match="corpus: has an empty name"):
        open_corpus(*sources)


def test_folder_means_sorted_files_without_hidden(tmp_path):
    for name in ("b.txt", "a/z.txt", "a/b/c.txt", ".hidden", ".git/config", "a.txt"):
        write(tmp_path / "corpus.d", f"{name}\n".encode(), name)
    corpus = open_corpus(tmp_path / "corpus.d")
    assert corpus.name == "corpus.d"
    assert text_of(tmp_path / "corpus.d") == "a/b/c.txt\na/z.txt\na.txt\nb.txt\n"
    assert corpus.describe().endswith("c.txt and 3 more files")


def test_every_file_without_text_is_named(tmp_path):
    write(tmp_path, b"a text\n", "0.txt")
    for number in range(1, 6):
        write(tmp_path, b"%PDF-1.7\n", f"{number}.pdf")
    write(tmp_path, text_in("Korean", "cp949", 400), "0a.txt")
    with pytest.raises(DataError) as caught:
        text_of(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/0a.txt: looks like cp949, not utf-8 (line 1, byte 2). Use")
    also = "; ".join(f"{tmp_path}/{number}.pdf (PDF document)" for number in (1, 2, 3))
    assert f" Also unfit: {also} and 2 more files. To leave files out, name the others" in message


def test_links_and_pipes_in_a_folder_are_left_out_with_warning(tmp_path):
    write(tmp_path, b"a\n", "corpus/a.txt")
    write(tmp_path, b"b\n", "elsewhere/b.txt")
    (tmp_path / "corpus/b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "corpus/c").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "corpus/d")
    (tmp_path / "corpus/e.txt").symlink_to(tmp_path / "elsewhere/b.txt")
    with pytest.warns(UserWarning, match=r"corpus/b; .*corpus/c; .*corpus/d: left out of .*corpus"):
        assert text_of(tmp_path / "corpus") == "a\nb\n"


def test_pipe_of_a_shell_has_a_name(tmp_path):
    read_end, write_end = os.pipe()
    try:
        assert open_corpus(f"/dev/fd/{read_end}").name == "pipe"
    finally:
        os.close(read_end)
        os.close(write_end)


def test_glob_is_sorted_and_may_be_recursive(tmp_path):
    for name in ("b.txt", "a.txt", "c.md", "sub/d.txt"):
        write(tmp_path, f"{name}\n".encode(), name)
    assert text_of(f"{tmp_path}/*.txt") == "a.txt\nb.txt\n"
    assert text_of(f"{tmp_path}/**/*.txt") == "a.txt\nb.txt\nsub/d.txt\n"
    assert open_corpus(f"{tmp_path}/*.txt").name == "a"


def test_file_named_like_a_glob_is_a_file(tmp_path):
    write(tmp_path, b"not this\n", "1.txt")
    assert text_of(write(tmp_path, b"this\n", "[1].txt")) == "this\n"


def test_sources_keep_order_and_may_repeat(tmp_path):
    a, b = write(tmp_path, b"a\n", "a"), write(tmp_path, b"b\n", "b")
    assert text_of(b, a, b) == "b\na\nb\n"


def test_catalog_is_searched_if_no_path_exists(tmp_path, monkeypatch):
    stored = write(tmp_path, b"from the catalog\n", "stored.txt")
    catalog = SimpleNamespace(
        find=lambda name: stored if name == "pydocs" else None, names=lambda: [SimpleNamespace(name="pydocs")]
    )
    monkeypatch.setitem(sys.modules, "nlpseq.corpora", catalog)
    monkeypatch.chdir(tmp_path)
    assert open_corpus("pydocs").name == "pydocs"
    assert text_of("pydocs") == "from the catalog\n"
    with pytest.raises(DataError, match=r"pydoc: no such file, folder or corpus\. Did you mean pydocs\?"):
        open_corpus("pydoc")
    with pytest.raises(DataError, match=r"missing\.txt: no such file, folder or corpus\. Check the path"):
        open_corpus("missing.txt")
    write(tmp_path, b"from the folder\n", "pydocs")
    assert text_of("pydocs") == "from the folder\n"


def test_missing_and_empty_sources_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"corpus: missing\. Name a file"):
        open_corpus()
    with pytest.raises(DataError, match=r"\*\.txt: matches no file"):
        open_corpus(f"{tmp_path}/*.txt")
    with pytest.raises(DataError, match=r"contains no file to read"):
        open_corpus(tmp_path)
    with pytest.raises(DataError, match=r"stdin \(-\): named more than once"):
        open_corpus("-", "-")
    with pytest.raises(DataError, match=r"cannot be read \(File name too long\)"):
        open_corpus("n" * 300)


def test_unreadable_file_is_refused_by_name(tmp_path, monkeypatch):
    file = write(tmp_path, b"a\n")

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    for reading in (lambda: text_of(file), lambda: open_corpus(file).content_key()):
        with pytest.raises(DataError, match=r"a\.txt: cannot be read \(Permission denied\)\. Check"):
            reading()


@pytest.mark.parametrize("mode", [0o000, 0o444])  # no permission to list; to list but not to enter
@pytest.mark.parametrize("closed", ["closed", "closed/within"])
def test_folder_without_permission_is_refused_by_name(tmp_path, closed, mode):
    write(tmp_path, b"a\n", "closed/within/a.txt")
    write(tmp_path, b"a\n", "closed/a.txt")
    (tmp_path / closed).chmod(mode)
    opening = f"from nlpseq.reading.corpus import *; open_corpus('{tmp_path}/closed')"
    done = subprocess.run(
        [sys.executable, "-c", opening], preexec_fn=lose_rights, capture_output=True, text=True, check=False
    )
    (tmp_path / closed).chmod(0o755)
    named = re.escape(str(tmp_path / closed))
    assert re.search(rf"DataError: {named}.*: cannot be read \(Permission denied\)\. Check", done.stderr)


# keys


def test_content_key_depends_on_bytes_and_boundaries(tmp_path):
    key = open_corpus(write(tmp_path, b"a\nb\n", "one")).content_key()
    assert key is not None and len(key) == 64
    assert open_corpus(write(tmp_path, b"a\nb\n", "two")).content_key() == key
    assert open_corpus(write(tmp_path, b"a\nc\n", "three")).content_key() != key
    parts = [write(tmp_path, b"a\n", "x"), write(tmp_path, b"b\n", "y")]
    assert open_corpus(*parts).content_key() != key
    assert open_corpus(*reversed(parts)).content_key() != open_corpus(*parts).content_key()


# pipes and standard input


def test_stdin_is_read_once_and_has_no_key(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"a b\r\nc"))))
    corpus = open_corpus("-")
    assert (corpus.name, corpus.describe()) == ("stdin", "stdin")
    assert corpus.content_key() is None and corpus.size_bytes() is None
    assert [block.text for block in corpus.blocks(CONFIG, ReadReport())] == ["a b\nc"]
    with pytest.raises(DataError, match=r"stdin: can be read only once\. Save the text to a file"):
        corpus.blocks(CONFIG, ReadReport())
    assert not sys.stdin.buffer.closed


def test_pipe_is_read_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"through a pipe\n",))
    writer.start()
    corpus = open_corpus(tmp_path / "pipe")
    assert corpus.content_key() is None
    assert [block.text for block in corpus.blocks(CONFIG, ReadReport())] == ["through a pipe\n"]
    writer.join()
    with pytest.raises(DataError, match="only once"):
        corpus.blocks(CONFIG, ReadReport())


def test_file_can_be_read_again(tmp_path):
    corpus = open_corpus(write(tmp_path, TEXT.encode()))
    assert list(corpus.blocks(CONFIG, ReadReport())) == list(corpus.blocks(CONFIG, ReadReport()))


def test_bytes_read_are_counted_on_disk_over_all_files(tmp_path):
    a, b = write(tmp_path, "가나\n".encode(), "a"), write(tmp_path, bz2.compress(b"c\n"), "b")
    assert [block.bytes_read for block in read(a, b)] == [7, open_corpus(a, b).size_bytes()]


def test_text_is_composed_by_default(tmp_path):
    decomposed = unicodedata.normalize("NFD", "한글 é ﬁ")
    file = write(tmp_path, decomposed.encode())
    assert text_of(file) == "한글 é ﬁ"
    assert text_of(file, normalize="NFKC") == "한글 é fi"
    assert text_of(file, normalize="none") == decomposed


def notices_of(*sources):
    report = ReadReport()
    for _ in open_corpus(*sources).blocks(TextConfig(), report):
        pass
    return report.notices()


def test_copies_of_a_file_are_named(tmp_path):
    for name, content in (("a.txt", b"one two"), ("b.txt", b"one two"), ("c.txt", b""), ("d.txt", b"")):
        write(tmp_path, content, name)
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    (notice,) = notices_of(tmp_path, a)  # empty files are no copies
    assert notice.startswith(f"{b} (copy of {a}); {a} (named again): the same text as a file before")
    assert notices_of(a) == []
