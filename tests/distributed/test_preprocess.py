"""Encoding by shards gives the files of one machine, for any cut and any number of workers."""

import gzip
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.texts import random_corpus, write_text

from nlpseq.config import TextConfig
from nlpseq.core.tasks import ThreadTasks
from nlpseq.dataset.encode import preprocess as encode, tokenizer_versions
from nlpseq.distributed import preprocess as by_shards
from nlpseq.errors import ConfigError, DataError, RunError
from nlpseq.reading.corpus import Corpus, open_corpus
from nlpseq.reading.decode import ReadReport

FILES = ("tokens.npy", "sentences.npy", "vocab.tsv")


@pytest.fixture(params=[1, 3])
def tasks(request: pytest.FixtureRequest) -> Iterator[ThreadTasks]:
    with closing(ThreadTasks(request.param)) as opened:
        yield opened


def text_of(corpus: Corpus, config: TextConfig) -> bytes:
    return b"".join(block.data for block in corpus.blocks(config, ReadReport()))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("max_bytes", [1, 7, 50, 10_000])
def test_shards_of_a_text_are_the_text(tmp_path: Path, newline: str, max_bytes: int) -> None:
    lines = ["a b", "", "\ufeffc", "%PDF-1.4", '{"text": "d"}', "강아지 é " * 9, "\u2028 e", "f" * 60, "last"]
    file = tmp_path / "a.txt"
    file.write_bytes(("first\n" + newline.join(lines * 3)).encode())
    config = TextConfig()
    shards = open_corpus(file).shards(config, max_bytes)
    assert b"".join(text_of(shard, config) for shard in shards) == text_of(open_corpus(file), config)
    if newline != "\r" and max_bytes < 60:
        assert len(shards) > 5


def test_shards_are_cut_in_plain_text_alone(tmp_path: Path) -> None:
    text = b"a b c\nd e f\n" * 20
    files = {
        "a.txt": text,
        "b.txt.gz": gzip.compress(text),
        "c.jsonl": b'{"text": "a b"}\n' * 20,
        "d.csv": b"text,label\na b c,1\n" * 20,
        "e.txt": "a b\n".encode("utf-16") * 20,
        "f.txt": b"x y\n",
        "g.txt": b"z\n",
    }
    paths = [write_text(tmp_path / name, content) for name, content in files.items()]
    corpus, config = open_corpus(*paths), TextConfig()
    shards = corpus.shards(config, 100)
    names = [Path(name.partition(" from")[0]).name for shard in shards for name in shard.file_names]
    assert names == ["a.txt", "a.txt", *files]
    assert len(open_corpus(paths[0]).shards(TextConfig(sentences="documents"), 100)) == 1


def test_small_files_share_a_shard(tmp_path: Path) -> None:
    paths = [write_text(tmp_path / f"{number}.txt", "a b c d e\n") for number in range(7)]
    shards = open_corpus(*paths).shards(TextConfig(), 30)
    assert [len(shard.file_names) for shard in shards] == [3, 3, 1]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"valid_share": 0.1, "test_share": 0.2},
        {"max_vocab": 20, "min_count": 1},
        {"tokenizer": "char", "min_count": 1},
        {"tokenizer": "nltk"},
        {"sentences": "punctuation", "lower": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("shard_bytes", [300, 5000, 1 << 20])
def test_files_equal_those_of_one_machine(
    tmp_path: Path,
    tasks: ThreadTasks,
    settings: dict[str, object],
    shard_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(by_shards, "PART_BYTES", 2000)  # so that the types have several parts
    text = random_corpus(tmp_path, num_types=60, num_lines=200).read_text()
    texts = [
        text,
        "<unk> said <eos> there 강아지. The end\n\n" * 20,
        gzip.compress(text.encode()),
        "Ünïcode\n" * 9,
    ]
    paths = [write_text(tmp_path / f"{n}.txt{'.gz' * (n == 2)}", each) for n, each in enumerate(texts)]
    config = TextConfig(**settings)  # type: ignore[arg-type]
    one = encode(open_corpus(*paths), config, tmp_path / "one.tokens", threads=1)
    many = by_shards.preprocess(
        open_corpus(*paths), config, tmp_path / "many.tokens", tasks, shard_bytes=shard_bytes
    )
    for name in FILES:
        assert (one.path / name).read_bytes() == (many.path / name).read_bytes(), name
    for field in ("config", "num_tokens", "num_sentences", "splits", "unknown", "vocab_digest", "corpus"):
        assert one.meta[field] == many.meta[field], field
    assert {each.name for each in many.path.iterdir()} == {*FILES, "meta.json", "MANIFEST.json"}
    assert many.meta["cluster"]["workers"] == tasks.workers
    assert many.digest == one.digest


def test_problems_of_all_shards_are_reported(tmp_path: Path, tasks: ThreadTasks) -> None:
    paths = [write_text(tmp_path / f"{n}.txt", (b"good words here " * 20 + b"\xff\n") * 30) for n in range(2)]
    config = TextConfig(min_count=1)
    data = by_shards.preprocess(open_corpus(*paths), config, tmp_path / "a.tokens", tasks, shard_bytes=200)
    assert any("60 invalid bytes" in notice for notice in data.meta["notices"]), data.meta["notices"]
    assert data.meta["read"]["invalid_bytes"] == 60


@pytest.mark.parametrize("setting", [{"phrases": 1}, {"tokenizer": "bpe"}], ids=str)
def test_settings_that_count_again_are_refused(
    tmp_path: Path, tasks: ThreadTasks, setting: dict[str, object]
) -> None:
    corpus = open_corpus(write_text(tmp_path / "a.txt", "a b\n"))
    with pytest.raises(ConfigError, match="--cluster: does not work with"):
        by_shards.preprocess(corpus, TextConfig(**setting), tmp_path / "a.tokens", tasks)  # type: ignore[arg-type]
    assert not (tmp_path / "a.tokens").exists()


def test_text_without_frequent_words_is_refused(tmp_path: Path, tasks: ThreadTasks) -> None:
    corpus = open_corpus(write_text(tmp_path / "a.txt", "a b c\n"))
    with pytest.raises(DataError, match=r"0 of 3 words have count >= 5\. Use a larger corpus"):
        by_shards.preprocess(corpus, TextConfig(), tmp_path / "a.tokens", tasks)
    with pytest.raises(ConfigError, match="is not in files"):
        by_shards.preprocess(open_corpus(["a b"]), TextConfig(), tmp_path / "a.tokens", tasks)
    assert not (tmp_path / "a.tokens").exists()


def test_task_that_runs_twice_changes_nothing(tmp_path: Path) -> None:
    (shard,) = open_corpus(random_corpus(tmp_path, num_types=20, num_lines=30)).shards(TextConfig(), 10**6)
    expected = shard.stamp(), tokenizer_versions(TextConfig())
    first = by_shards.tokenize_shard(shard, expected, TextConfig(), tmp_path / "000000")
    files = {file.name: file.read_bytes() for file in (tmp_path / "000000").iterdir()}
    again = by_shards.tokenize_shard(shard, expected, TextConfig(), tmp_path / "000000")
    assert first == again
    assert {file.name: file.read_bytes() for file in (tmp_path / "000000").iterdir()} == files
    assert len([*tmp_path.glob("000000*")]) == 1
    with pytest.raises(RunError, match=r": has \{.*Install the same versions"):
        by_shards.tokenize_shard(shard, (shard.stamp(), {"kiwipiepy": "0"}), TextConfig(), tmp_path / "1")
