"""The vectorised scan equals the plain one on texts of odd lengths."""

import random

import numpy as np
import pytest
from hypothesis import given
from reference import scan as plain
from support.texts import ANY_TEXT, WORD_CONFIGS, config_name

from nlpseq.config import TextConfig
from nlpseq.tokenizers import scan_numba as fast
from nlpseq.tokenizers.char_classes import char_classes

CONFIGS = [config for config in WORD_CONFIGS if not config.lower]


def assert_same_scan(text: str, config: TextConfig) -> None:
    classes = char_classes(config.tokenizer, config.punctuation, config.word_rule)
    data = np.frombuffer(text.encode("utf-8", "surrogatepass") + fast.PADDING, np.uint8)
    lengths_L, expected_L = (np.full(text.count("\n") + 1, -1) for _ in range(2))
    starts, ends, has_emoji = fast.find_tokens(data, classes, config.punctuation, lengths_L)
    expected = plain.find_tokens(data, classes, config.punctuation, expected_L)
    assert (starts.tolist(), ends.tolist(), has_emoji) == expected
    assert lengths_L.tolist() == expected_L.tolist()


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
@given(text=ANY_TEXT)
def test_scan_of_any_text_equals_reference(text, config):
    assert_same_scan(text, config)


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_scan_of_ascii_and_other_text_equals_reference(config):
    for seed in range(300):
        draw = random.Random(seed)
        text = draw.choices("abC9''. <>/\n", k=draw.randrange(60, 600))
        for _ in range(seed % 4):
            text[draw.randrange(len(text))] = draw.choice(
                "é’\u2028한😀\xad\u200d\xb7"
            )  # shifts the vectors after it
        assert_same_scan("".join(text), config)


@pytest.mark.parametrize("behind", ["é", "한", "😀", "\u2028", "\xada", "\xad'a", "'", "a", "."])
@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_scan_of_apostrophe_at_end_of_vector(behind, config):
    for length in range(55, 70):
        assert_same_scan(f"{'x' * length}'{behind}b c {'d' * 80}", config)


@pytest.mark.parametrize(
    "text",
    ["", "'", "a'", "a’", "a'b", "é", "한", "😀", "a'😀", "’’", "\n", "a\n", "ΑΣ.Α", "<a", "</", "<a>"],
)
@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_scan_of_short_texts_equals_reference(text, config):
    assert_same_scan(text, config)


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_scan_of_angle_brackets_equals_reference(config):
    for text in (
        "a<b-1>c",
        f"<{'a' * 20}>",
        f"<{'a' * 21}>",
        f"</{'a' * 20}>",
        "<1>",
        "<-a>",
        "<<b>>",
        "<é>",
    ):
        for length in range(50, 70):
            assert_same_scan(f"{'x' * length}{text}{'d' * 80}", config)
