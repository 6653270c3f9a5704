"""The same text in every container and from Python: the same tokens folder, apart from provenance."""

import csv
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.texts import write_text

from nlpseq.config import TextConfig, Word2VecConfig
from nlpseq.dataset.encode import preprocess
from nlpseq.dataset.encode_cache import cached_dataset
from nlpseq.errors import ConfigError, DataError
from nlpseq.reading.corpus import open_corpus
from nlpseq.word2vec.train import train_word2vec

TEXTS = [f'Line {n} of é 한글, "quoted"\nand\tmore; words {n % 7}' for n in range(300)]
PROVENANCE = {"corpus", "content_key", "read", "notices"}


def as_json_lines(texts: list[str]) -> bytes:
    return "".join(json.dumps({"id": 1, "text": text}) + "\r\n" for text in texts).encode()


def as_json(texts: list[str]) -> bytes:
    return json.dumps([{"text": text} for text in texts], indent=1, ensure_ascii=False).encode()


def as_csv(texts: list[str], delimiter: str = ",") -> bytes:
    rows = io.StringIO()
    csv.writer(rows, delimiter=delimiter).writerows([["n", "text"], *enumerate(texts)])
    return rows.getvalue().encode("utf-8-sig")


def as_zip(texts: list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", as_csv(texts[:100]))
        archive.writestr("b", gzip.compress(as_json(texts[100:])))
    return buffer.getvalue()


def as_tar(texts: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        content = as_json_lines(texts)
        info = tarfile.TarInfo("a")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def as_parquet(texts: list[str]) -> bytes:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    buffer = io.BytesIO()
    pq.write_table(pa.table({"n": range(len(texts)), "text": texts}), buffer, row_group_size=70)
    return buffer.getvalue()


CONTAINERS: dict[str, Callable[[list[str]], bytes]] = {
    "jsonl": as_json_lines,
    "json": as_json,
    "csv": as_csv,
    "tsv": lambda texts: as_csv(texts, "\t"),
    "zip": as_zip,
    "tar": as_tar,
    "parquet": as_parquet,
}


def files_of(folder: Path) -> dict[str, Any]:
    """Return the content of each file of a tokens folder, without provenance."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in folder.iterdir()}
    del found["MANIFEST.json"]
    meta = json.loads(found["meta.json"])
    return found | {"meta.json": {name: value for name, value in meta.items() if name not in PROVENANCE}}


@pytest.mark.parametrize("container", CONTAINERS)
def test_same_text_gives_the_same_folder(tmp_path: Path, container: str) -> None:
    config = TextConfig(min_count=1, punctuation=True, valid_share=0.1)
    plain = write_text(tmp_path / "plain.txt", "\n".join(TEXTS))
    source = write_text(tmp_path / "source.bin", CONTAINERS[container](TEXTS))
    for name, each in (("plain", plain), ("source", source)):
        preprocess(open_corpus(each), config, tmp_path / name)
    assert files_of(tmp_path / "source") == files_of(tmp_path / "plain")


@pytest.mark.parametrize("sentences", ["lines", "documents", "punctuation"])
def test_generator_gives_the_folder_of_its_records(tmp_path: Path, sentences: Any) -> None:
    records = write_text(tmp_path / "a.jsonl", as_json_lines(TEXTS))
    settings = {"min_count": 1, "sentences": sentences, "tokenizer": "char"}
    data = preprocess((text for text in TEXTS), path=tmp_path / "memory", **settings)
    preprocess(records, TextConfig(**settings), tmp_path / "records")
    assert files_of(tmp_path / "memory") == files_of(tmp_path / "records")
    assert data.num_sentences == {"lines": 600, "documents": 300, "punctuation": 300}[sentences]


def test_column_of_plain_text_is_refused(tmp_path: Path) -> None:
    file = write_text(tmp_path / "a.txt", "plain text\n")
    with pytest.raises(DataError, match=r"a\.txt: has no columns, because all files are plain text"):
        preprocess(open_corpus(file), TextConfig(column="body", min_count=1), tmp_path / "out")


def test_cache_tells_a_table_from_a_text_of_equal_bytes(tmp_path: Path) -> None:
    config = TextConfig(min_count=1)
    content = "1,one\n2,two\n"
    text = cached_dataset(open_corpus(write_text(tmp_path / "a.txt", content)), config)
    table = cached_dataset(open_corpus(write_text(tmp_path / "a.csv", content)), config)
    assert (text.num_tokens, table.num_tokens) == (4, 2)
    again = cached_dataset(open_corpus(write_text(tmp_path / "b.csv", content)), config)
    assert again.path == table.path


def test_training_takes_sources_with_settings() -> None:
    sentences = [["the", "cat", "sat"], ["the", "Dog", "sat"]] * 50
    config = Word2VecConfig(dim=4, epochs=1, threads=1, subsample=0.0)
    vectors = train_word2vec(iter(sentences), config, min_count=2, dim=3)
    assert vectors.matrix.shape == (4, 3)
    assert sorted(vectors.vocab.words) == ["Dog", "cat", "sat", "the"]
    data = cached_dataset(open_corpus([" ".join(each) for each in sentences]), TextConfig(min_count=2))
    assert "dog" in train_word2vec(data, config).vocab
    with pytest.raises(ConfigError, match="config: is of type str"):
        preprocess(["a"], "a.tokens")
    with pytest.raises(ConfigError, match="min_count: has no effect, because the corpus is encoded already"):
        train_word2vec(data, config, min_count=2)
