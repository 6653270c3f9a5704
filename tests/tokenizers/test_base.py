"""All tokenizers: the table in the documentation, case, linear time."""

import re
import time
from typing import get_args

import pytest
from support.analyzers import CORE, OPTIONAL, install_tokenizer

from nlpseq.config import TextConfig, Tokenizer
from nlpseq.dataset.encode import preprocess
from nlpseq.errors import ConfigError, DataError, MissingExtra
from nlpseq.reading.corpus import open_corpus
from nlpseq.tokenizers import base
from nlpseq.tokenizers.base import TOKENIZERS, TokenizerEntry, normalize_and_tokenize, tokenize

CONFIGS = [TextConfig(punctuation=True), *(TextConfig(tokenizer=name) for name in CORE)]
KEEP = TextConfig(punctuation=True, keep="urls,mentions,hashtags,numbers")
BAITS = (
    *("a", "'", ".", "@", "<", "a'", "a.", "1.", "1", "<a", "-", "#a", "(", '"', "&#", "a@", "http://"),
    *(
        "\u0301",
        ". ",
        "1 ",
        "\u00ad",
        "a\u200d",
        "a\u00ad'",
        "👍\u200d",
        "🇰",
        "1\ufe0f",
        "i\u0307",
        "h\u0331\u00ad",
    ),
    *("a.", "a@a.", "www.", "1,", "<a>", "@a", "#"),
)
NLTK = ("nltk", "toktok", "tweet")
BAIT_CHARS = 50_000
LINEAR_CPU_SECONDS = 5.0  # linear time takes 0.2 s at most, quadratic time 10 s and more


def config_name(config: TextConfig) -> str:
    return config.tokenizer + ", punctuation=True" * config.punctuation + ", keep" * bool(config.keep)


def test_every_configured_tokenizer_is_registered():
    assert tuple(TOKENIZERS) == get_args(Tokenizer)


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_example_in_docstring_is_true(config):
    assert base.__doc__ is not None
    line = re.search(r"for the line {5}(.*)", base.__doc__)
    row = re.search(rf"^    {config_name(config)}  +(\S.*?)(?:   .*)?$", base.__doc__, re.MULTILINE)
    assert line and row
    assert " ".join(tokenize(line[1], config)) == row[1].replace("␣", " ")


@pytest.mark.parametrize("config", [*CONFIGS, *OPTIONAL], ids=config_name)
def test_lower_false_keeps_case(config):
    kept = TextConfig(tokenizer=config.tokenizer, punctuation=config.punctuation, lower=False)
    assert "".join(tokenize("Ab CD", kept)).replace(" ", "") == "AbCD"
    assert "".join(tokenize("Ab CD", config)).replace(" ", "") == "abcd"


def test_char_keeps_every_character():
    assert tokenize("a  b\t한\u0301", TextConfig(tokenizer="char")) == list("a  b\t한\u0301")


@pytest.mark.parametrize("config", [*CONFIGS, *OPTIONAL], ids=config_name)
def test_no_token_has_a_byte_order_mark(config):
    assert tokenize("\ufeffalpha be\ufeffta \ufeff", config) == tokenize("alpha beta ", config)


@pytest.mark.parametrize("name", ["word", "whitespace", "char"])
def test_dotted_capital_i_becomes_i(name):
    config = TextConfig(tokenizer=name)
    assert normalize_and_tokenize("İ I\u0307 i\u0307 Ị̇", config) == tokenize("i i i ị̇", config)


def test_normalize_and_tokenize_composes_characters():
    assert normalize_and_tokenize("e\u0301 ﬁ", TextConfig()) == ["é", "ﬁ"]
    assert normalize_and_tokenize("e\u0301 ﬁ", TextConfig(normalize="NFKC")) == ["é", "fi"]
    assert normalize_and_tokenize("e\u0301", TextConfig(normalize="none")) == ["e\u0301"]


@pytest.mark.parametrize(
    "config",
    [
        *(pytest.param(each, marks=[pytest.mark.slow] * (each.tokenizer in NLTK)) for each in CONFIGS),
        pytest.param(KEEP, marks=pytest.mark.slow),
        *OPTIONAL,
    ],
    ids=config_name,
)
def test_hostile_text_takes_linear_time(config):
    tokenize("warm up", config)
    for bait in BAITS:
        start = time.process_time()  # of this process alone, whatever else the machine does
        tokenize(bait * (BAIT_CHARS // len(bait)), config)
        assert time.process_time() - start < LINEAR_CPU_SECONDS, bait


@pytest.fixture
def third_party(tmp_path, monkeypatch):
    """Return a function to install a tokenizer, given a name and code."""

    def install(name, code):
        install_tokenizer(tmp_path, name, code)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setitem(TOKENIZERS, name, None)  # to remove the entry after the test
        del TOKENIZERS[name]

    return install


def test_entry_point_adds_a_tokenizer(tmp_path, third_party):
    third_party("dashes", "def split(text, config):\n    return filter(None, text.split('-'))\n")
    (tmp_path / "text.txt").write_text("A-b c-A\nb c-d\n")
    config = TextConfig(tokenizer="dashes", min_count=1)
    data = preprocess(open_corpus(tmp_path / "text.txt"), config, tmp_path / "text.tokens", threads=1)
    assert [data.vocab.words[i] for i in data.tokens] == ["a", "b c", "a", "b c", "d"]
    assert data.meta["made_with"]["dashes"] == "1.5"
    assert data.config.tokenizer == "dashes"


@pytest.mark.parametrize("token", ["''", "'a\\nb'", "7"])
def test_tokens_of_an_entry_point_are_checked(third_party, token):
    third_party("careless", f"def split(text, config):\n    return ['a', {token}]\n")
    with pytest.raises(DataError, match="tokenizer careless of careless:split: returned the token"):
        tokenize("a", TextConfig(tokenizer="careless"))


@pytest.mark.parametrize("code", ["import no_such_module", "split_ = None"])
def test_entry_point_that_fails_is_a_missing_extra(third_party, code):
    third_party("broken", code)
    with pytest.raises(MissingExtra, match=r"tokenizer broken: broken:split cannot be loaded \(.*no"):
        tokenize("a", TextConfig(tokenizer="broken"))


def test_unknown_tokenizer_is_refused_with_names(third_party):
    third_party("dashes", "def split(text, config):\n    return [text]\n")
    with pytest.raises(ConfigError, match=r"one of word, .*, dashes \(did you mean dashes\?\), of an"):
        TextConfig(tokenizer="dashe")


def test_missing_extra_is_named_with_its_installation(tmp_path, monkeypatch):
    def split(text, config):
        import no_such_analyzer  # noqa: F401

    monkeypatch.setitem(TOKENIZERS, "kiwi", TokenizerEntry(split, packages=("no-such-analyzer",), extra="ko"))
    config = TextConfig(tokenizer="kiwi")
    with pytest.raises(MissingExtra, match=r"needs no_such_analyzer, .* Type: pip install \"\.\[ko\]\""):
        tokenize("a", config)
    (tmp_path / "text.txt").write_text("a\n")
    with pytest.raises(MissingExtra, match=r"tokenizer kiwi: needs no-such-analyzer, which is not installed"):
        preprocess(open_corpus(tmp_path / "text.txt"), config, tmp_path / "text.tokens")
