"""Words of Chinese, Japanese and Thai, and the versions of all analyzers in a result."""

import pytest
from support.analyzers import OPTIONAL

from nlpseq.config import TextConfig
from nlpseq.dataset.encode import preprocess
from nlpseq.reading.corpus import open_corpus
from nlpseq.tokenizers.base import package_versions, tokenize

WORDS = {
    "jieba": "我 来到 北京 清华大学 。 hello world 123",
    "fugashi": "私 は 東京 に 行き まし た 。 hello world 123",
    "pythainlp": "ผม รัก ภาษาไทย hello world 123",
    "kiwi": "나 는 학교 에 갔 다 . hello world 123",
    "mecab": "나 는 학교 에 갔 다 . hello world 123",
}
HOSTILE = ["", " ", "\0a", "\udc80b", "👨‍👩‍👧 ❤️", "a\u00a0b\u3000c", "\u0e33\u0e4d", "゙゙", "'\"`\\%"]


@pytest.mark.parametrize("config", OPTIONAL)
def test_analyzer_finds_words(config):
    words = WORDS[config.tokenizer].split()
    text = "".join(words[:-3]) + " Hello world  123"
    assert tokenize(text, config) == words


@pytest.mark.parametrize("config", OPTIONAL)
def test_tokens_are_neither_empty_nor_white_space(config):
    for text in HOSTILE:
        assert all(token and not any(map(str.isspace, token)) for token in tokenize(text, config))


@pytest.mark.parametrize("config", OPTIONAL)
def test_versions_of_packages_are_stored(tmp_path, config):
    (tmp_path / "text.txt").write_text(WORDS[config.tokenizer], "utf-8")
    config = TextConfig(tokenizer=config.tokenizer, min_count=1)
    data = preprocess(open_corpus(tmp_path / "text.txt"), config, tmp_path / "text.tokens", threads=1)
    versions = package_versions(config.tokenizer)
    assert versions and data.meta["made_with"] | versions == data.meta["made_with"]
