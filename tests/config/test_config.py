"""Configs: defaults, bounds, messages, conversion to and from dictionaries."""

from dataclasses import FrozenInstanceError, asdict, fields

import pytest

from nlpseq.config import (
    CooccurrenceConfig,
    GloveConfig,
    LMConfig,
    PPMIConfig,
    SVDConfig,
    TextConfig,
    Word2VecConfig,
)
from nlpseq.config.fields import Bounds, from_dict, from_stored, split_settings
from nlpseq.errors import ConfigError

CONFIGS = [TextConfig, CooccurrenceConfig, SVDConfig, GloveConfig, Word2VecConfig, LMConfig]

REFUSED = [
    (
        TextConfig,
        {"tokenizer": "wrod"},
        "tokenizer: 'wrod' is not valid. The value must be one of word, whitespace, char",
    ),
    (TextConfig, {"tokenizer": ["word"]}, "The value must be of type str"),
    (
        TextConfig,
        {"tokenizer": "kiwwi"},
        "pythainlp (did you mean kiwi?), of an installed package, or FILE.json.",
    ),
    (
        TextConfig,
        {"morphemes": "lemmas"},
        "works with the tokenizers kiwi and mecab alone. Use --tokenizer kiwi or mecab, or leave out --m",
    ),
    (TextConfig, {"pos": "NNG"}, "pos: works with the tokenizers kiwi and mecab alone."),
    (TextConfig, {"pos": ""}, "The value must be one or more, with commas, of NNG"),
    (
        TextConfig,
        {"tokenizer": "mecab", "pos": "NNG,XYZ"},
        "The value must be one or more, with commas, of NNG",
    ),
    (TextConfig, {"tokenizer": "kiwi", "pos": "NNG, VV"}, "The value must be one or more, with commas"),
    (TextConfig, {"tokenizer": "mecab", "user_dictionary": "꽃길\tNNG"}, "Use --tokenizer kiwi, or"),
    (
        TextConfig,
        {"tokenizer": "kiwi", "user_dictionary": "꽃길\tNNG\n꽃길 NNG"},
        "user_dictionary: line 2 is",
    ),
    (TextConfig, {"lower": 1}, "lower: 1 is not valid. The value must be of type bool."),
    (TextConfig, {"min_count": 0}, "min_count: 0 is not valid. The value must be at least 1."),
    (TextConfig, {"min_count": True}, "min_count: True is not valid. The value must be of type int."),
    (TextConfig, {"min_count": None}, "min_count: None is not valid. The value must be of type int."),
    (TextConfig, {"max_vocab": 0}, "max_vocab: 0 is not valid. The value must be at least 1."),
    (TextConfig, {"max_vocab": 1.5}, "max_vocab: 1.5 is not valid. The value must be of type int."),
    (TextConfig, {"encoding": "utf-9"}, "encoding: 'utf-9' is not valid. The value must be a text encoding"),
    (TextConfig, {"encoding": "rot13"}, "encoding: 'rot13' is not valid. The value must be a text encoding"),
    (TextConfig, {"encoding": "utf\0"}, "The value must be a text encoding"),
    (TextConfig, {"encoding_errors": "ignore"}, "The value must be one of replace, strict."),
    (
        TextConfig,
        {"valid_share": 1.0},
        "valid_share: 1.0 is not valid. The value must be at least 0 and below 1.",
    ),
    (TextConfig, {"test_share": -0.1}, "test_share: -0.1 is not valid. The value must be at least 0"),
    (TextConfig, {"valid_share": 0.5, "test_share": 0.5}, "to leave text to train on"),
    (
        TextConfig,
        {"tokenizer": "char", "punctuation": True},
        "punctuation: works with the tokenizer word alone. Use --tokenizer word, or leave out --punctuation.",
    ),
    (TextConfig, {"tokenizer": "char", "keep": "urls"}, "keep: works with the tokenizer word alone."),
    (TextConfig, {"word_rule": 1, "keep": "urls"}, "The value must be empty with the word rule 1."),
    (TextConfig, {"keep": "urls,"}, "separated by commas, of urls, mentions, hashtags, numbers"),
    (
        TextConfig,
        {"keep": "links"},
        "keep: 'links' is not valid. The value must be names separated by commas",
    ),
    (TextConfig, {"word_rule": 3}, "word_rule: 3 is not valid. The value must be from 1 to 2."),
    (TextConfig, {"tokenizer": "a.yaml"}, "of an installed package, or FILE.json"),
    (TextConfig, {"tokenizer": "bpe", "min_count": 2}, "The value must be 1 with the tokenizer `bpe`."),
    (TextConfig, {"tokenizer": "a.json", "normalize": "NFKC"}, "must be none with the tokenizer `bpe`."),
    (TextConfig, {"tokenizer": "bpe", "phrases": 1}, "must be 0 with the tokenizer `bpe`."),
    (TextConfig, {"tokenizer": "bpe", "vocab_size": 255}, "must be from 256 to 1,000,000."),
    (
        TextConfig,
        {"tokenizer": "a.json", "vocab_size": 300},
        "vocab_size: works with the tokenizer bpe alone.",
    ),
    (CooccurrenceConfig, {"window": 0}, "window: 0 is not valid. The value must be from 1 to 1,000."),
    (CooccurrenceConfig, {"side": "both"}, "The value must be one of symmetric, left, right."),
    (Word2VecConfig, {"dim": 0}, "dim: 0 is not valid. The value must be from 1 to 10,000."),
    (Word2VecConfig, {"dim": "100"}, "dim: '100' is not valid. The value must be of type int."),
    (Word2VecConfig, {"window": 1001}, "window: 1001 is not valid."),
    (Word2VecConfig, {"negatives": 501}, "negatives: 501 is not valid."),
    (Word2VecConfig, {"subsample": 2}, "subsample: 2 is not valid. The value must be from 0 to 1."),
    (Word2VecConfig, {"smoothing": float("nan")}, "smoothing: nan is not valid."),
    (Word2VecConfig, {"learning_rate": 0}, "learning_rate: 0 is not valid. The value must be above 0."),
    (Word2VecConfig, {"learning_rate": float("inf")}, "learning_rate: inf is not valid."),
    (Word2VecConfig, {"learning_rate": float("nan")}, "learning_rate: nan is not valid."),
    (Word2VecConfig, {"epochs": 0}, "epochs: 0 is not valid."),
    (Word2VecConfig, {"seed": -1}, "seed: -1 is not valid."),
    (LMConfig, {"beta1": 1}, "beta1: 1 is not valid. The value must be at least 0 and below 1."),
    (LMConfig, {"epochs": 1, "time_budget": 60}, "The value must be left out if epochs are set."),
    (GloveConfig, {"x_max": float("inf")}, "The value must be a finite number above 0."),
    (Word2VecConfig, {"threads": 0}, "threads: 0 is not valid."),
]


@pytest.mark.parametrize(("config_type", "values", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_config_refuses_invalid_value(config_type, values, message):
    with pytest.raises(ConfigError) as error:
        config_type(**values)
    assert message in str(error.value)


@pytest.mark.parametrize("encoding", ["idna", "Punycode", "rot13", "hex", "none-such", ""])
def test_text_config_refuses_unknown_encoding(encoding):
    with pytest.raises(ConfigError, match="must be a text encoding that Python knows"):
        TextConfig(encoding=encoding)


@pytest.mark.parametrize(
    ("config_type", "values"),
    [
        (TextConfig, {"min_count": 1, "max_vocab": 1, "valid_share": 0, "test_share": 0.99}),
        (TextConfig, {"phrase_threshold": -1e300, "phrases": 8}),
        (CooccurrenceConfig, {"window": 1000}),
        (
            Word2VecConfig,
            {"dim": 1, "window": 1, "negatives": 1, "subsample": 0, "smoothing": 1, "seed": 2**2000},
        ),
        (Word2VecConfig, {"learning_rate": 1, "epochs": 1, "threads": 1024}),
        (LMConfig, {"forget_bias": -1_000_000, "beta1": 0.5, "time_budget": 0.1, "patience": 1}),
    ],
)
def test_config_takes_values_on_bounds(config_type, values):
    config = config_type(**values)
    assert {name: getattr(config, name) for name in values} == values


@pytest.mark.parametrize(
    ("bounds", "text", "inside", "outside"),
    [
        (Bounds(ge=1, le=10_000), "from 1 to 10,000", [1, 10_000, 2.5], [0, 10_001]),
        (Bounds(ge=0, lt=1), "at least 0 and below 1", [0, 0.99], [-0.1, 1]),
        (Bounds(gt=0, le=1), "above 0 and at most 1", [1, 1e-9], [0, 1.1]),
        (Bounds(), "a finite number", [-1e300, 2**2000], [float("inf"), float("nan")]),
    ],
)
def test_bounds_have_text_and_contain_values(bounds, text, inside, outside):
    assert str(bounds) == text
    assert all(map(bounds.contain, inside)) and not any(map(bounds.contain, outside))


@pytest.mark.parametrize("config_type", CONFIGS)
def test_config_survives_dictionary_roundtrip(config_type):
    config = config_type(seed=3) if config_type is not TextConfig else config_type(min_count=3)
    assert from_dict(config_type, asdict(config)) == config != config_type()


def test_stored_config_without_word_rule_has_rule_1():
    stored = asdict(TextConfig(min_count=3))
    assert from_stored(TextConfig, stored) == TextConfig(min_count=3)
    del stored["word_rule"], stored["keep"]
    assert from_stored(TextConfig, stored) == TextConfig(min_count=3, word_rule=1)
    assert from_dict(TextConfig, stored).word_rule == 2


@pytest.mark.parametrize("config_type", [*CONFIGS, PPMIConfig])
def test_every_setting_has_default_and_help(config_type):
    config_type()
    for each in fields(config_type):
        assert each.metadata["help"], each.name


def test_config_is_frozen():
    with pytest.raises(FrozenInstanceError):
        TextConfig().min_count = 1


def test_unknown_setting_gets_suggestion():
    message = r"widow: unknown setting of Word2VecConfig\. Did you mean window\?"
    with pytest.raises(ConfigError, match=message):
        from_dict(Word2VecConfig, {"widow": 3})
    message = r"zzz: unknown setting of CooccurrenceConfig\. Use one of window, side"
    with pytest.raises(ConfigError, match=message):
        from_dict(CooccurrenceConfig, {"zzz": 3})


def test_settings_are_split_by_config_type():
    settings = {"dim": 50, "min_count": 2}
    config, text = split_settings(Word2VecConfig, Word2VecConfig(window=3), settings, TextConfig)
    assert (config, text) == (Word2VecConfig(window=3, dim=50), {"min_count": 2})
    message = r"min_cuont: unknown setting of Word2VecConfig or TextConfig\. Did you mean min_count\?"
    with pytest.raises(ConfigError, match=message):
        split_settings(Word2VecConfig, None, {"min_cuont": 2}, TextConfig)
    with pytest.raises(ConfigError, match=r"config: is of type TextConfig\. Use Word2VecConfig, or settings"):
        split_settings(Word2VecConfig, TextConfig(), {}, TextConfig)


@pytest.mark.parametrize("config_type", [Word2VecConfig, LMConfig, CooccurrenceConfig])
def test_settings_of_stages_and_text_share_no_name(config_type):
    assert {each.name for each in fields(config_type)}.isdisjoint(each.name for each in fields(TextConfig))


def test_bpe_has_its_own_defaults():
    config = TextConfig(tokenizer="bpe")
    assert (config.lower, config.normalize, config.min_count) == (False, "none", 1)
    assert from_dict(TextConfig, asdict(config)) == config


@pytest.mark.parametrize(("name", "value"), [("lower", True), ("min_count", 5), ("normalize", "NFC")])
def test_named_default_is_refused_with_bpe(name, value):
    with pytest.raises(ConfigError, match=f"{name}: is .* with the tokenizer bpe, not {value!r}"):
        from_dict(TextConfig, {"tokenizer": "bpe", name: value})
