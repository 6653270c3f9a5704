"""A corpus encoded with BPE has the ids of the reference, through files, blocks, splits and threads."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from reference import bpe as plain

import nlpseq as ns
from nlpseq.dataset.limits import EncodeLimits
from nlpseq.reading.blocks import BlockLimits

GOLDEN = Path(__file__).parents[1] / "golden" / "bpe"
LINES = [
    b"\xef\xbb\xbfThe cat's hat isn't on the mat; the hats\0 were there.",
    b"  two  spaces\tand\ttabs  \x0b",
    b"\xff\xfe invalid \xe2\x82 and \xed\xa0\x80 bytes",
    "한국어 문장과 한국어 문장, naïve café 1999 1999".encode(),
    b"",
    b"aaaaaaaaaaaa" * 9,
    "one two's  three\t4 fünf'll 한 \u3000".encode() * 20,  # longer than a small block
    b"the end of the text",
]
TEXT = b"\r\n".join(LINES[:3]) + b"\r" + b"\n".join(LINES[3:])
SMALL = EncodeLimits(
    blocks=BlockLimits(block_bytes=130), thread_types=5, memory_types=9, chunk_types=7, write_tokens=3
)


def test_added_tokens_are_found_in_a_corpus(tmp_path: Path) -> None:
    cases = json.loads((GOLDEN / "ids.json").read_text("utf-8"))
    cases = {line: ids for line, ids in cases.items() if ids and "\n" not in line} | {"a<|end|>": [64, 313]}
    (tmp_path / "a.txt").write_text("\n".join(cases), "utf-8")
    config = ns.TextConfig(tokenizer=str(GOLDEN / "tokenizer.json"))
    data = ns.preprocess(ns.open_corpus(tmp_path / "a.txt"), config, tmp_path / "a.tokens")
    assert data.vocab.words[313] == "<|end|>" and data.vocab.counts[313] == 5
    found = [data.tokens[a:b].tolist() for a, b in pairwise(data.sentences.tolist())]
    assert found == [*cases.values()]
    assert (tmp_path / "a.tokens" / "tokenizer.json").read_bytes() == (GOLDEN / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("limits", [EncodeLimits(), SMALL], ids=["large", "small"])
def test_encoded_lines_equal_reference(tmp_path: Path, limits: EncodeLimits) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT * 3)
    config = ns.TextConfig(tokenizer="bpe", vocab_size=300, test_share=0.3)
    data = ns.preprocess(
        ns.open_corpus(tmp_path / "a.txt"), config, tmp_path / "a.tokens", limits=limits, threads=2
    )
    lines = [line for line in (TEXT * 3).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n") if line]
    train_end = data.meta["splits"]["train"][1]
    assert 0 < train_end < len(lines) == data.num_sentences
    merges = plain.train(Counter(pre for line in lines[:train_end] for pre in plain.pretokens(line)), 300)
    expected = [plain.encode(line, merges) for line in lines]
    found = [data.tokens[a:b].tolist() for a, b in pairwise(data.sentences.tolist())]
    assert found == expected
    counts = Counter(token for ids in expected[:train_end] for token in ids)
    assert data.vocab.counts[:-2].tolist() == [counts[n] for n in range(300)]
    assert data.vocab.counts[-2:].tolist() == [0, train_end]
    assert data.vocab.bpe is not None
    assert b"".join(map(data.vocab.bpe.decode, found)) == b"".join(lines)


def lines_of(data: ns.TokenDataset) -> list[bytes]:
    """Return the bytes of each sentence."""
    assert data.vocab.bpe is not None
    return [data.vocab.bpe.decode(data.tokens[a:b].tolist()) for a, b in pairwise(data.sentences.tolist())]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "mark"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "memory"])
def test_line_ends_inside_records_end_sentences(tmp_path: Path, name: str, mark: bytes) -> None:
    texts = ["First line, of é 한\nand second", "The next text"]
    source: Any = texts
    if name != "memory":
        source, records = tmp_path / name, [json.dumps({"text": text}) for text in texts]
        as_csv = 'n,text\r\n1,"' + '"\r\n2,"'.join(texts) + '"\r\n'
        contents = {"a.jsonl": "\n".join(records), "a.json": f"[{','.join(records)}]", "a.csv": as_csv}
        source.write_bytes(mark + contents[name].encode())
    data = ns.preprocess(source, path=tmp_path / "a.tokens", tokenizer="bpe", vocab_size=256)
    assert lines_of(data) == [text.encode() for text in "\n".join(texts).split("\n")]
    documents = ns.preprocess(
        source, path=tmp_path / "b.tokens", tokenizer="bpe", vocab_size=256, sentences="documents"
    )
    assert lines_of(documents) == [text.replace("\n", " ").encode() for text in texts]


def test_setting_of_bpe_replaces_defaults_of_a_config(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT)
    for tokenizer in ("bpe", str(GOLDEN / "tokenizer.json")):
        data = ns.preprocess(
            tmp_path / "a.txt", ns.TextConfig(test_share=0.2), tmp_path / "a", tokenizer=tokenizer, force=True
        )
        config = data.config
        assert (config.tokenizer_kind, config.lower, config.min_count, config.test_share) == (
            "bpe",
            False,
            1,
            0.2,
        )
        assert list(data.meta["made_with"]) == ["unicode"]
    with pytest.raises(ns.ConfigError, match="lower: is False with the tokenizer bpe, not True"):
        ns.preprocess(tmp_path / "a.txt", ns.TextConfig(), tmp_path / "b", tokenizer="bpe", lower=True)


def test_added_token_eos_stays_in_its_sentence(tmp_path: Path) -> None:
    parsed = json.loads((GOLDEN / "tokenizer.json").read_text("utf-8"))
    size = 1 + max(parsed["model"]["vocab"].values(), default=0)
    parsed["added_tokens"] = [{"id": size, "content": "<eos>"}]
    (tmp_path / "my.json").write_text(json.dumps(parsed))
    (tmp_path / "a.txt").write_text("a <eos> b\nc <unk>\n")
    data = ns.preprocess(tmp_path / "a.txt", path=tmp_path / "a", tokenizer=str(tmp_path / "my.json"))
    assert lines_of(data) == [b"a <eos> b", b"c <unk>"]
    assert data.vocab.words[size:] == ["<eos>", "<unk>", "<eos>"]


def test_most_frequent_pretokens_are_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlpseq.dataset.subwords.MAX_TRAIN_BYTES", len(" the\n"))
    (tmp_path / "a.txt").write_text("x bee bee the the the the\n")
    data = ns.preprocess(tmp_path / "a.txt", path=tmp_path / "a", tokenizer="bpe")
    assert data.vocab.words[-3] == "Ġthe" and "ee" not in data.vocab


def test_empty_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\n")
    with pytest.raises(ns.DataError):
        ns.preprocess(tmp_path / "a.txt", path=tmp_path / "a", tokenizer="bpe")
