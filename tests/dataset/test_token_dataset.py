"""TokenDataset: intact folders open, corrupt files are refused by name, splits share the tokens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.results import seal

from nlpseq.config import TextConfig
from nlpseq.dataset.encode import preprocess
from nlpseq.dataset.token_dataset import SPLITS, TokenDataset, token_dtype
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.reading.corpus import open_corpus
from nlpseq.storage.manifest import read_json, write_json

CONFIG = TextConfig(min_count=1, valid_share=0.2, test_share=0.2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Ten sentences of two tokens: train 6, valid 2, test 2."""
    (tmp_path / "corpus.txt").write_text("a b\nc a\n" * 5)
    return preprocess(open_corpus(tmp_path / "corpus.txt"), CONFIG, tmp_path / "out").path


def test_open_dataset_survives_overwriting(path: Path) -> None:
    data = TokenDataset.open(path)
    before = data.digest
    (path.parent / "corpus.txt").write_text("c c\nb b\n" * 7)
    preprocess(open_corpus(path.parent / "corpus.txt"), CONFIG, path, force=True)
    assert data.digest == data.split("valid").digest == before != TokenDataset.open(path).digest


def test_open_maps_all_tokens(path: Path) -> None:
    data = TokenDataset.open(path)
    assert isinstance(data.tokens, np.memmap) and isinstance(data.sentences, np.memmap)
    assert (data.num_tokens, data.num_sentences) == (20, 10)
    assert data.sentences.tolist() == list(range(0, 21, 2))
    assert data.vocab.words == ["a", "b", "c", "<unk>", "<eos>"]
    assert data.config == CONFIG
    assert TokenDataset.open(str(path), verify=False).tokens.tolist() == data.tokens.tolist()


def test_splits_share_tokens_and_divide_sentences(path: Path) -> None:
    data = TokenDataset.open(path)
    splits = [data.split(name) for name in SPLITS]
    assert [split.sentences.tolist() for split in splits] == [
        [0, 2, 4, 6, 8, 10, 12],
        [12, 14, 16],
        [16, 18, 20],
    ]
    assert [(split.num_sentences, split.num_tokens) for split in splits] == [(6, 12), (2, 4), (2, 4)]
    assert all(split.tokens is data.tokens and split.vocab is data.vocab for split in splits)
    assert splits[1].split("valid").sentences.tolist() == splits[1].sentences.tolist()
    assert data.num_sentences == 10


def test_missing_split_is_refused(path: Path, tmp_path: Path) -> None:
    data = TokenDataset.open(path)
    with pytest.raises(DataError, match=r"has no test split\. .*--test-share"):
        data.split("valid").split("test")
    with pytest.raises(ConfigError, match=r"split 'dev': does not exist\. Use one of train, valid, test"):
        data.split("dev")  # type: ignore[arg-type]


@pytest.mark.parametrize(("num_entries", "dtype"), [(2, np.uint16), (65_536, np.uint16), (65_537, np.uint32)])
def test_token_dtype_is_the_smallest(num_entries: int, dtype: type, tmp_path: Path) -> None:
    assert token_dtype(num_entries) is dtype


@pytest.mark.parametrize(("num_words", "dtype"), [(65_534, "uint16"), (65_535, "uint32")])
def test_largest_ids_survive_encoding(num_words: int, dtype: str, tmp_path: Path) -> None:
    text = "".join(f"w{k:05} " + "\n" * (k % 100 == 99) for k in range(num_words))
    (tmp_path / "corpus.txt").write_text(text)
    data = preprocess(open_corpus(tmp_path / "corpus.txt"), TextConfig(min_count=1), tmp_path / "out")
    assert data.tokens.dtype == dtype
    assert data.tokens.tolist() == list(range(num_words))
    assert TokenDataset.open(tmp_path / "out").vocab.num_words == num_words


@pytest.mark.parametrize("name", ["tokens.npy", "sentences.npy", "vocab.tsv", "meta.json"])
def test_changed_truncated_and_missing_files_are_refused(name: str, path: Path) -> None:
    content = (path / name).read_bytes()
    (path / name).write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    with pytest.raises(ArtifactError, match=rf"{name}: (does not match its sha256|cannot be read)"):
        TokenDataset.open(path)
    (path / name).write_bytes(content[:-2])
    with pytest.raises(ArtifactError, match=rf"{name}: (has \d+ bytes|cannot be read)"):
        TokenDataset.open(path)
    (path / name).unlink()
    with pytest.raises(ArtifactError, match=rf"{name}: is missing"):
        TokenDataset.open(path)


def change_meta(**fields: Any) -> Callable[[Path], None]:
    return lambda path: write_json(path / "meta.json", read_json(path / "meta.json") | fields)


def drop_meta(field: str) -> Callable[[Path], None]:
    def drop(path: Path) -> None:
        meta = read_json(path / "meta.json")
        del meta[field]
        write_json(path / "meta.json", meta)

    return drop


def change_array(name: str, at: int, value: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        array = np.load(path / name)
        array[at] = value
        np.save(path / name, array)

    return change


def replace_array(name: str, array: Any) -> Callable[[Path], None]:
    return lambda path: np.save(path / name, array)


def change_vocab(words: list[str], num_specials: int) -> Callable[[Path], None]:
    return lambda path: Vocab(words, np.ones(len(words), np.int64), num_specials).save(path / "vocab.tsv")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change_array("tokens.npy", 7, 4), "tokens.npy: contains an id outside"),
        (replace_array("tokens.npy", np.zeros(20, np.uint32)), "tokens.npy: holds uint32 of 1 dim"),
        (replace_array("tokens.npy", np.zeros((4, 5), np.uint16)), "tokens.npy: holds uint16 of 2 dim"),
        (replace_array("tokens.npy", np.zeros(19, np.uint16)), "field num_tokens does not match"),
        (change_array("sentences.npy", 0, 1), "sentences.npy: offsets do not rise"),
        (change_array("sentences.npy", 4, 6), "sentences.npy: offsets do not rise"),
        (change_array("sentences.npy", 4, -1), "sentences.npy: offsets do not rise"),
        (change_array("sentences.npy", 10, 21), "sentences.npy: offsets do not rise"),
        (replace_array("sentences.npy", np.arange(10)), "field num_sentences does not match"),
        (replace_array("sentences.npy", np.arange(0)), "field num_sentences does not match"),
        (change_vocab(["b", "a", "c", "<unk>", "<eos>"], 2), "field vocab_digest does not match"),
        (change_vocab(["a", "b", "c", "<eos>", "<unk>"], 2), "vocab.tsv: does not end with <unk> and <eos>"),
        (change_vocab(["a", "b", "c", "<unk>", "<eos>"], 0), "vocab.tsv: does not end with <unk> and <eos>"),
        (change_meta(format="nlpseq-vectors"), "holds word vectors, not an encoded corpus"),
        (change_meta(format_version=2), "format version 2"),
        (change_meta(config={"tokeniser": "word"}), "meta.json: is not valid"),
        (change_meta(config=None), "meta.json: is not valid"),
        (change_meta(splits={"train": [0, 10]}), "meta.json: is not valid"),
        (
            change_meta(splits={"train": [0, 6], "valid": [7, 8], "test": [8, 10]}),
            "field splits does not match",
        ),
        (
            change_meta(splits={"train": [0, 6], "valid": [6, 5], "test": [5, 10]}),
            "field splits does not match",
        ),
        (
            change_meta(splits={"train": [0, 6], "valid": [6, 8], "test": [8, 9]}),
            "field splits does not match",
        ),
        (
            change_meta(splits={"train": ["0", 6], "valid": [6, 8], "test": [8, 10]}),
            "field splits does not match",
        ),
        (
            change_meta(splits={"train": [0, 0], "valid": [0, 8], "test": [8, 10]}),
            "field splits does not match",
        ),
        (change_meta(notices=[1]), "field notices does not match"),
        (change_meta(read={"invalid_bytes": "2"}), "field read does not match"),
        (change_meta(read={"skipped": {"no text": ["3", "a.csv"]}}), "field read does not match"),
        (change_meta(read={"formats": {"CSV": 1}}), "field read does not match"),
        *((change_meta(read=wrong), "not valid") for wrong in ([], {"skipped": 1}, {"formats": [1]})),
        *((drop_meta(field), "not valid") for field in ("config", "splits", "num_tokens", "notices")),
    ],
)
def test_inconsistent_files_are_refused(damage: Callable[[Path], None], message: str, path: Path) -> None:
    damage(path)
    seal(path)
    with pytest.raises(ArtifactError, match=message) as caught:
        TokenDataset.open(path)
    assert str(path) in str(caught.value)
