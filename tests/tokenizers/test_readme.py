"""The tables of nlpseq/tokenizers/README.md are true, for text in memory and in blocks of files."""

import re
from itertools import chain
from pathlib import Path

import pytest

import nlpseq
from nlpseq.config import TextConfig
from nlpseq.dataset.parallel import block_tokenizer
from nlpseq.reading.normalize import normalize_block
from nlpseq.tokenizers.base import normalize_and_tokenize

README = (Path(nlpseq.__file__).parent / "tokenizers" / "README.md").read_text("utf-8")
RULE = README[: README.index("## Korean")]  # with the tables of the rule of `word`
ROW = re.compile(r"^\| `(.*?)` \|(?: `(.*?)`)? \| `(.*?)` \|$", re.MULTILINE)
ESCAPE = re.compile(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")


def rows(keep: str | None) -> list[tuple[str, list[str], list[str], str | None]]:
    """Return text, tokens, tokens with punctuation and `keep` of the rows in the section about `keep`."""
    start, end = README.index("## `--keep"), README.index("## Versions")
    section = README[start:end] if keep else README[:start] + README[end:]
    text = ESCAPE.sub(lambda match: chr(int(match[1] or match[2], 16)), section)
    return [(line, tokens.split(), marked.split(), keep) for line, tokens, marked in ROW.findall(text)]


ROWS = rows(None) + rows("urls,mentions,hashtags,numbers")


def tokens_of_block(text: str, config: TextConfig) -> list[str]:
    block = block_tokenizer(config)(normalize_block(text.encode(), config.normalize))
    types = block.types.decode().split("\n")
    return [types[number] for number in block.ids]


def test_every_row_of_the_tables_is_read():
    assert len(ROWS) == RULE.count("\n| `") > 20


@pytest.mark.parametrize(("text", "tokens", "marked", "keep"), ROWS, ids=[ascii(row[0]) for row in ROWS])
def test_row_of_the_tables_is_true(text, tokens, marked, keep):
    for punctuation, expected in ((False, tokens), (True, marked)):
        config = TextConfig(punctuation=punctuation, keep=keep)
        assert normalize_and_tokenize(text, config) == expected
        assert tokens_of_block(text, config) == expected


def test_block_of_all_rows_has_their_tokens():
    for column, punctuation in ((1, False), (2, True)):
        expected = [*chain.from_iterable(row[column] for row in rows(None))]
        text = "\n".join(row[0] for row in rows(None))
        assert tokens_of_block(text, TextConfig(punctuation=punctuation)) == expected
