"""Byte-level BPE equals its reference and the stored ids of Hugging Face `tokenizers`."""

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from reference import bpe as plain
from support.texts import bpe_of

from nlpseq.config import TextConfig
from nlpseq.errors import DataError
from nlpseq.tokenizers.bpe import BPE, token_name
from nlpseq.tokenizers.detokenize import Detokenizer, detokenize

# Made by tokenizers 0.23.3: a byte-level BPE of 314 tokens with an added token, and the ids of a few lines.
GOLDEN = Path(__file__).parents[1] / "golden" / "bpe"
TEXT = (
    b"the cat's hat isn't on the mat, thethe 1999 1999 cattle at that hat  \xff\xfe aaaaaaa banana "
    b"bananas \xed\x95\x9c"
)
CONFIG = TextConfig(tokenizer="bpe")


@pytest.mark.parametrize("seed", range(40))
def test_merges_and_ids_equal_reference(seed: int) -> None:
    draw = random.Random(seed)
    text = bytes(draw.choices(b"aaab \xe9" if seed % 2 else TEXT, k=draw.randrange(1, 400)))
    size = draw.choice((256, 257, 280, 400))
    model, merges = bpe_of(text, size), plain.train(Counter(plain.pretokens(text)), size)
    assert model.tokens[256:] == [model.tokens[left] + model.tokens[right] for left, right in merges]
    for line in (text, TEXT, TEXT[::-1], b"", b"a\n\n b\r\n"):
        assert model.encode(line) == plain.encode(line, merges)
        assert model.decode(model.encode(line)) == line


def test_ids_equal_stored_ids_of_tokenizers() -> None:
    model = BPE.load(GOLDEN / "tokenizer.json")
    cases = json.loads((GOLDEN / "ids.json").read_text("utf-8"))
    assert {text: model.encode(text) for text in cases} == cases


def test_trained_merges_equal_stored_merges_of_tokenizers() -> None:
    stored = BPE.load(GOLDEN / "tokenizer.json")
    text = "\n".join(json.loads((GOLDEN / "ids.json").read_text("utf-8")))
    trained = bpe_of(text.replace("<|end|>", "").encode(), 400)  # ends when no pair occurs twice
    assert trained.tokens == stored.tokens[:-1]


def test_trained_file_opens_in_tokenizers() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    model = bpe_of(TEXT, 300)
    other = tokenizers.Tokenizer.from_str(model.content.decode())
    draw = random.Random(3)
    for _ in range(200):
        text = "".join(
            draw.choices(" \t\n'sreabcthe17.é한😀\u0301\u00a0\u3000\0\x85\ufeff", k=draw.randrange(40))
        )
        assert other.encode(text).ids == model.encode(text)
        assert other.decode(model.encode(text)) == text == model.decode(model.encode(text)).decode()


def golden(**parts: Any) -> bytes:
    """Return the stored file with some parts replaced, `__` for a dot."""
    content = json.loads((GOLDEN / "tokenizer.json").read_bytes())
    for name, value in parts.items():
        *parents, key = name.split("__")
        part = content
        for parent in parents:
            part = part[parent]
        part[key] = value
    return json.dumps(content).encode()


def added(first: str, second: str) -> list[dict[str, Any]]:
    """Return two added tokens, of which `tokenizers` finds the first before the second."""
    return [{"id": 313, "content": first}, {"id": 314, "content": second, "normalized": True}]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"normalizer": {"type": "NFC"}}, 'normalizer is {"type": "NFC"}, and nlpseq reads null only'),
        ({"truncation": {"max_length": 9}}, "truncation is"),
        ({"model__type": "WordPiece"}, 'model.type is "WordPiece", and nlpseq reads "BPE" only'),
        ({"model__dropout": 0.1}, "model.dropout is 0.1"),
        ({"model__ignore_merges": True}, "model.ignore_merges is true"),
        ({"pre_tokenizer__add_prefix_space": True}, "pre_tokenizer.add_prefix_space is true"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, 'pre_tokenizer.type is "Metaspace"'),
        ({"post_processor": {"type": "RobertaProcessing"}}, "post_processor.type is"),
        ({"added_tokens": [{"id": 313, "content": "x", "lstrip": True}]}, "added token 'x', lstrip is true"),
        ({"added_tokens": [{"id": 313, "content": ""}]}, "added token '', empty is true"),
        ({"added_tokens": [{"id": 313, "content": "a\nb"}]}, "added token 'a\\nb', line end is true"),
        ({"added_tokens": added("<a", "<a>")}, "added token '<a>', normalized and overlapping is true"),
        ({"added_tokens": added("a>b", "<a>")}, "added token '<a>', normalized and overlapping is true"),
        ({"model__merges": ["a b c"]}, "not a valid tokenizer.json (ValueError"),
        ({"model__merges": ["a zz"]}, "not a valid tokenizer.json (KeyError: 'zz'"),
        ({"model__vocab": {"a": 0}}, "not a valid tokenizer.json (ValueError: the ids are not"),
        ({"model": 3}, "not a valid tokenizer.json (AttributeError"),
    ],
)
def test_unknown_part_of_tokenizer_file_is_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as error:
        BPE(golden(**parts), "my.json")
    assert str(error.value).startswith("my.json: ") and message in str(error.value)


def test_added_tokens_are_found_longest_first() -> None:
    tokens = [
        {"id": 313, "content": "<|end"},
        {"id": 314, "content": "<|end|>"},
        {"id": 315, "content": "éé"},
    ]
    model = BPE(golden(added_tokens=tokens))
    assert model.encode("<|end|>éé<|end") == [314, 315, 313]
    assert model.decode([314, 315, 313]) == "<|end|>éé<|end".encode()
    assert BPE(golden(added_tokens=added("<a>", "<b>"))).encode("<b><a>") == [314, 313]


def test_missing_tokenizer_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json: cannot be read \(No such file or directory\)"):
        BPE.load(tmp_path / "none.json")


def test_undecodable_text_keeps_its_bytes() -> None:
    model = bpe_of(TEXT, 300)
    for text in ("a\udcff b", "a\ud800", "\udced\udca0\udc80"):
        assert model.decode(model.encode(text)).decode("utf-8", "surrogateescape").startswith(text[:1])
    assert model.decode(model.encode("a\udcff b")) == b"a\xff b"
    assert model.decode(model.encode("a\ud800")) == b"a\xed\xa0\x80"


def test_streamed_text_has_no_half_characters() -> None:
    model = bpe_of(b"", 256)
    tokens = [model.tokens[token_id] for token_id in model.encode("é한\xff😀")]
    writer = Detokenizer(CONFIG, bpe=model)
    parts = [writer.push(token) for token in tokens] + [writer.push(None)]
    assert "".join(parts) == "é한\xff😀" == detokenize(tokens, CONFIG, model)
    assert all("\ufffd" not in part for part in parts)
    cut = Detokenizer(CONFIG, bpe=model)
    assert [cut.push(token) for token in tokens[:3]] + [cut.push(None)] == ["", "é", "", "\ufffd"]


@pytest.mark.parametrize("text", [b"a" * 400_000, bytes(random.Random(5).choices(b"abcdefgh", k=400_000))])
def test_one_long_pretoken_takes_linear_time(text: bytes) -> None:
    bpe_of(b"ab ab", 257)  # compiles
    seconds = []
    for part in (text[:100_000], text):
        start = time.process_time()
        model = bpe_of(part, 600)
        assert model.decode(model.encode(part)) == part
        seconds.append(time.process_time() - start)
    assert seconds[1] < 12 * seconds[0] + 0.2


@pytest.mark.parametrize(
    ("text", "label"),
    [(b" the", "▁the"), (b"the", "the"), (" 삶".encode(), "▁삶"), (b"  ", "▁ "), (b"\xec\x82", "ìĤ")],
)
def test_label_is_the_text_of_whole_characters(text: bytes, label: str) -> None:
    assert bpe_of(b"", 256).label(token_name(text)) == label


def test_added_tokens_have_their_text_everywhere() -> None:
    texts = ["éé", "끝", "Ġzz"]
    model = BPE(golden(added_tokens=[{"id": 313 + n, "content": text} for n, text in enumerate(texts)]))
    tokens = [*texts, "Ġ", "a"]
    assert [model.token_bytes(token).decode() for token in tokens] == [*texts, " ", "a"]
    assert [model.label(token) for token in tokens] == [*texts, "▁", "a"]
    assert (
        model.decode(map(model.tokens.index, tokens)).decode()
        == "éé끝Ġzz a"
        == detokenize(tokens, CONFIG, model)
    )
    writer = Detokenizer(CONFIG, bpe=model)
    assert "".join(map(writer.push, [*tokens, None])) == "éé끝Ġzz a"
    with pytest.raises(DataError, match=r"tokenizer bpe: has no tokenizer\.json"):
        detokenize(tokens, CONFIG)
