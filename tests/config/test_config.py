"""Settings: defaults that hold, values that are refused by name, plain dictionaries both ways."""

from dataclasses import FrozenInstanceError, fields

import pytest

from nlpseq.config import CooccurrenceConfig, TextConfig, Word2VecConfig
from nlpseq.config.fields import from_dict, to_dict
from nlpseq.errors import ConfigError

CONFIGS = [TextConfig, CooccurrenceConfig, Word2VecConfig]

REFUSED = [
    (TextConfig, {"tokenizer": "wrod"}, "tokenizer is 'wrod'. It must be one of word, whitespace, char"),
    (TextConfig, {"tokenizer": ["word"]}, "It must be one of word"),
    (TextConfig, {"lower": 1}, "lower is 1. It must be of type bool."),
    (TextConfig, {"min_count": 0}, "min_count is 0. It must be at least 1."),
    (TextConfig, {"min_count": True}, "min_count is True. It must be of type int."),
    (TextConfig, {"min_count": None}, "min_count is None. It must be of type int."),
    (TextConfig, {"max_vocab": 0}, "max_vocab is 0. It must be at least 1."),
    (TextConfig, {"max_vocab": 1.5}, "max_vocab is 1.5. It must be of type int."),
    (TextConfig, {"encoding": "utf-9"}, "encoding is 'utf-9'. It must be a text encoding"),
    (TextConfig, {"encoding": "rot13"}, "encoding is 'rot13'. It must be a text encoding"),
    (TextConfig, {"encoding": "utf\0"}, "It must be a text encoding"),
    (TextConfig, {"encoding_errors": "ignore"}, "It must be one of replace, strict."),
    (TextConfig, {"valid_share": 1.0}, "valid_share is 1.0. It must be at least 0 and below 1."),
    (TextConfig, {"test_share": -0.1}, "test_share is -0.1. It must be at least 0"),
    (TextConfig, {"valid_share": 0.5, "test_share": 0.5}, "some text is left to train on"),
    (TextConfig, {"tokenizer": "char", "punctuation": True}, "off unless the tokenizer is `word`"),
    (CooccurrenceConfig, {"window": 0}, "window is 0. It must be from 1 to 1000."),
    (CooccurrenceConfig, {"side": "both"}, "It must be one of symmetric, left, right."),
    (Word2VecConfig, {"dim": 0}, "dim is 0. It must be from 1 to 10000."),
    (Word2VecConfig, {"dim": "100"}, "dim is '100'. It must be of type int."),
    (Word2VecConfig, {"window": 1001}, "window is 1001."),
    (Word2VecConfig, {"negatives": 501}, "negatives is 501."),
    (Word2VecConfig, {"subsample": 2}, "subsample is 2. It must be from 0 to 1."),
    (Word2VecConfig, {"smoothing": float("nan")}, "smoothing is nan."),
    (Word2VecConfig, {"learning_rate": 0}, "learning_rate is 0. It must be above 0."),
    (Word2VecConfig, {"learning_rate": float("inf")}, "learning_rate is inf."),
    (Word2VecConfig, {"learning_rate": float("nan")}, "learning_rate is nan."),
    (Word2VecConfig, {"epochs": 0}, "epochs is 0."),
    (Word2VecConfig, {"seed": -1}, "seed is -1."),
    (Word2VecConfig, {"threads": 0}, "threads is 0."),
]


@pytest.mark.parametrize(("config_type", "values", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_bad_values_are_refused_by_name(config_type, values, message):
    with pytest.raises(ConfigError) as error:
        config_type(**values)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("config_type", "values"),
    [
        (TextConfig, {"min_count": 1, "max_vocab": 1, "valid_share": 0, "test_share": 0.99}),
        (CooccurrenceConfig, {"window": 1000}),
        (
            Word2VecConfig,
            {"dim": 1, "window": 1, "negatives": 1, "subsample": 0, "smoothing": 1, "seed": 2**80},
        ),
        (Word2VecConfig, {"learning_rate": 1, "epochs": 1, "threads": 1024}),
    ],
)
def test_values_on_the_bounds_are_taken(config_type, values):
    config = config_type(**values)
    assert {name: getattr(config, name) for name in values} == values


@pytest.mark.parametrize("config_type", CONFIGS)
def test_a_config_survives_a_dictionary(config_type):
    config = config_type(window=3) if config_type is not TextConfig else config_type(min_count=3)
    assert from_dict(config_type, to_dict(config)) == config != config_type()


@pytest.mark.parametrize("config_type", CONFIGS)
def test_every_setting_has_a_default_and_a_help_text(config_type):
    config_type()
    for each in fields(config_type):
        assert each.metadata["help"], each.name


def test_a_config_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TextConfig().min_count = 1


def test_an_unknown_setting_gets_a_suggestion():
    with pytest.raises(ConfigError, match=r"'widow' is no setting of Word2VecConfig\. Did you mean window\?"):
        from_dict(Word2VecConfig, {"widow": 3})
    with pytest.raises(
        ConfigError, match=r"'zzz' is no setting of CooccurrenceConfig\. Known are window, side"
    ):
        from_dict(CooccurrenceConfig, {"zzz": 3})


@pytest.mark.parametrize("encoding", ["idna", "Punycode", "rot13", "hex", "none-such", ""])
def test_what_is_no_encoding_of_text_is_refused(encoding):
    with pytest.raises(ConfigError, match="must be a text encoding Python knows"):
        TextConfig(encoding=encoding)
