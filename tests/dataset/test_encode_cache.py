"""The cache of encoded corpora: hits, misses, corrupt entries, races."""

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from support.texts import bpe_of, content, small_corpus, write_text

from nlpseq.config import TextConfig
from nlpseq.dataset.encode import EncodeProgress, preprocess
from nlpseq.dataset.encode_cache import cached_dataset
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import DataError
from nlpseq.reading.corpus import Corpus, open_corpus


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache/tokens"


def refuse(*_: Any) -> None:
    raise AssertionError("no work was expected")


def test_error_names_missing_file(tmp_path: Path) -> None:
    path = small_corpus(tmp_path)
    corpus = open_corpus(path)
    path.unlink()
    with pytest.raises(DataError, match=r"corpus\.txt:? cannot be read"):
        cached_dataset(corpus, TextConfig())


def test_second_run_reads_no_blocks(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small_corpus(tmp_path)
    first = cached_dataset(open_corpus(path), TextConfig())
    inode = first.path.stat().st_ino
    monkeypatch.setattr(Corpus, "blocks", refuse)
    copy = write_text(tmp_path / "same.txt", path.read_text())
    second = cached_dataset(open_corpus(copy), TextConfig())
    assert content(second) == content(first)
    assert second.path.stat().st_ino == inode
    assert len(list(cache.iterdir())) == 1
    assert (first.meta["corpus"], second.meta["corpus"]) == (str(path), str(copy))


def test_changed_text_or_setting_makes_new_cache_entry(cache: Path, tmp_path: Path) -> None:
    path = small_corpus(tmp_path)
    first = cached_dataset(open_corpus(path), TextConfig())
    stat = path.stat()
    write_text(path, path.read_text().replace("cat", "rat", 1))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    changed = cached_dataset(open_corpus(path), TextConfig(min_count=1))
    assert "rat" in changed.vocab and "rat" not in first.vocab
    cached_dataset(open_corpus(path), TextConfig())
    assert len(list(cache.iterdir())) == 3


def test_each_vocabulary_has_its_own_cache_entry(tmp_path: Path) -> None:
    config, corpus = TextConfig(min_count=1), open_corpus(small_corpus(tmp_path))
    other = open_corpus(write_text(tmp_path / "other.txt", "cat dog\n"))
    vocab = preprocess(other, config, tmp_path / "other.tokens").vocab
    given, own = cached_dataset(corpus, config, vocab=vocab), cached_dataset(corpus, config)
    assert given.path != own.path and given.vocab.digest == vocab.digest != own.vocab.digest


def test_changed_tokenizer_file_makes_new_cache_entry(cache: Path, tmp_path: Path) -> None:
    corpus, file = open_corpus(small_corpus(tmp_path)), tmp_path / "tokenizer.json"
    config, found = TextConfig(tokenizer=str(file)), list[TokenDataset]()
    for text in (b"x the the", b"x cat cat", b"x cat cat"):
        file.write_bytes(bpe_of(text, 300).content)
        found.append(cached_dataset(corpus, config))
    assert [data.vocab.words[-3] for data in found] == ["Ġthe", "Ġcat", "Ġcat"]
    assert found[1].path == found[2].path and len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("name", ["tokens.npy", "meta.json", "MANIFEST.json"])
def test_corrupt_entry_is_encoded_again_with_a_notice(name: str, cache: Path, tmp_path: Path) -> None:
    corpus = open_corpus(small_corpus(tmp_path))
    first = cached_dataset(corpus, TextConfig())
    expected = content(first)
    whole = (first.path / name).read_bytes()
    (first.path / name).unlink()
    (first.path / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    second = cached_dataset(corpus, TextConfig())
    assert content(second) == expected
    assert any("corrupt" in notice and name in notice for notice in second.meta["notices"])
    assert cached_dataset(corpus, TextConfig()).meta["notices"] == []
    assert len(list(cache.iterdir())) == 1


def test_slower_run_returns_the_entry_of_the_faster(cache: Path, tmp_path: Path) -> None:
    corpus = open_corpus(small_corpus(tmp_path))
    faster = []

    def overtake(_: EncodeProgress) -> None:
        faster.append(cached_dataset(corpus, TextConfig()))

    slower = cached_dataset(corpus, TextConfig(), progress=overtake)
    assert slower.path == faster[0].path
    assert content(slower) == content(faster[0])
    assert [path.name for path in cache.iterdir()] == [slower.path.name]


def test_text_changed_after_hashing_gets_its_own_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_corpus(tmp_path)
    text = path.read_text()
    cached_dataset(open_corpus(path), TextConfig())
    write_text(path, text.replace("cat", "rat"))
    corpus = open_corpus(path)
    look_up = corpus.content_key

    def change_after() -> str | None:
        key = look_up()
        write_text(path, text.replace("cat", "bat"))
        return key

    with monkeypatch.context() as patch:
        patch.setattr(corpus, "content_key", change_after)
        assert "bat" in cached_dataset(corpus, TextConfig()).vocab
    for word in ("cat", "rat", "bat"):
        write_text(path, text.replace("cat", word))
        assert word in cached_dataset(open_corpus(path), TextConfig()).vocab


def test_text_of_another_size_is_not_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small_corpus(tmp_path)
    cached_dataset(open_corpus(path), TextConfig())
    write_text(path, path.read_text() + "one more line\n")
    corpus = open_corpus(path)
    monkeypatch.setattr(corpus, "content_key", refuse)
    assert cached_dataset(corpus, TextConfig()).num_sentences
    with pytest.raises(AssertionError):
        cached_dataset(corpus, TextConfig())


def test_equal_text_from_pipes_is_stored_once(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = content(preprocess(open_corpus(small_corpus(tmp_path)), TextConfig(), tmp_path / "out"))
    for _ in range(2):
        text = io.TextIOWrapper(io.BytesIO((tmp_path / "corpus.txt").read_bytes()))
        monkeypatch.setattr(sys, "stdin", text)
        data = cached_dataset(open_corpus("-"), TextConfig())
        assert content(data) == expected
        assert [path.name for path in cache.iterdir()] == [data.path.name]


def test_notices_of_a_cached_text_name_the_present_files(tmp_path: Path) -> None:
    config, texts = TextConfig(min_count=1), (b"a b\n", b"c \xff d e f\n", b"g \xff h i j\n")
    for folder in ("old", "new"):
        files = [write_text(tmp_path / folder / f"{number}.txt", text) for number, text in enumerate(texts)]
        (notice,) = cached_dataset(open_corpus(*files), config).meta["notices"]
        assert notice.startswith(f"{files[1]}, line 1, byte 2 (utf-8); {files[2]}, line 1, byte 2 (utf-8): 2")


def test_other_version_of_an_analyzer_makes_a_new_entry(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, config = open_corpus(small_corpus(tmp_path)), TextConfig(tokenizer="nltk", min_count=1)
    before = cached_dataset(corpus, config)
    monkeypatch.setattr("nlpseq.tokenizers.base.version", lambda package: "0.1")
    after = cached_dataset(corpus, config)
    assert before.meta["made_with"]["nltk"] != after.meta["made_with"]["nltk"] == "0.1"
    assert before.path != after.path and len(list(cache.iterdir())) == 2
    assert cached_dataset(corpus, config).path == after.path
