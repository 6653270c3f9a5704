"""All tokenizers: the table in the documentation, case, linear time."""

import re
import time
from typing import get_args

import pytest

from nlpseq.config import TextConfig, Tokenizer
from nlpseq.tokenizers import base
from nlpseq.tokenizers.base import TOKENIZERS, normalize_and_tokenize, tokenize

NAMES = [name for name in get_args(Tokenizer) if name != "bpe"]  # which needs a vocabulary
CONFIGS = [TextConfig(punctuation=True), *(TextConfig(tokenizer=name) for name in NAMES)]
BAITS = (
    *("a", "'", ".", "@", "<", "a'", "a.", "1.", "1", "<a", "-", "#a", "(", '"', "&#", "a@", "http://"),
    *("\u0301", ". ", "1 "),
)
BAIT_CHARS = 50_000
LINEAR_CPU_SECONDS = 5.0  # linear time takes 0.2 s at most, quadratic time 10 s and more


def config_name(config: TextConfig) -> str:
    return config.tokenizer + ", punctuation=True" * config.punctuation


def test_every_configured_tokenizer_is_registered():
    assert tuple(TOKENIZERS) == get_args(Tokenizer)


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_example_in_docstring_is_true(config):
    assert base.__doc__ is not None
    line = re.search(r"for the line {5}(.*)", base.__doc__)
    row = re.search(rf"^    {config_name(config)}  +(\S.*?)(?:   .*)?$", base.__doc__, re.MULTILINE)
    assert line and row
    assert " ".join(tokenize(line[1], config)) == row[1].replace("␣", " ")


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_lower_false_keeps_case(config):
    kept = TextConfig(tokenizer=config.tokenizer, punctuation=config.punctuation, lower=False)
    assert "".join(tokenize("Ab CD", kept)).replace(" ", "") == "AbCD"
    assert "".join(tokenize("Ab CD", config)).replace(" ", "") == "abcd"


def test_char_keeps_every_character():
    assert tokenize("a  b\t한\u0301", TextConfig(tokenizer="char")) == list("a  b\t한\u0301")


def test_normalize_and_tokenize_composes_characters():
    assert normalize_and_tokenize("e\u0301 ﬁ", TextConfig()) == ["é", "ﬁ"]
    assert normalize_and_tokenize("e\u0301 ﬁ", TextConfig(normalize="NFKC")) == ["é", "fi"]
    assert normalize_and_tokenize("e\u0301", TextConfig(normalize="none")) == ["e\u0301"]


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_hostile_text_takes_linear_time(config):
    tokenize("warm up", config)
    for bait in BAITS:
        start = time.process_time()  # of this process alone, whatever else the machine does
        tokenize(bait * (BAIT_CHARS // len(bait)), config)
        assert time.process_time() - start < LINEAR_CPU_SECONDS, bait
