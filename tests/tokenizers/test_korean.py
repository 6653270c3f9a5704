"""Korean morphemes by Kiwi and mecab-ko: as written and as lemmas, parts of speech, dictionaries, spaces."""

import re
import unicodedata
from pathlib import Path

import pytest
from support.analyzers import OPTIONAL

from nlpseq.config import TextConfig
from nlpseq.errors import ConfigError
from nlpseq.tokenizers import korean
from nlpseq.tokenizers.base import tokenize
from nlpseq.tokenizers.detokenize import Detokenizer, detokenize
from nlpseq.tokenizers.korean import space_before

KOREAN = OPTIONAL[:2]
KIWI = OPTIONAL[:1]
SENTENCE = "나는 어제 학교에 갔다. 그는 책을 3권 샀어요!"
HOSTILE = [
    "",
    " ",
    "\0가",
    "\udc80나",
    "👨‍👩‍👧 ❤️ 하트",
    "먹었엌ㅋㅋ 우리집에성",
    "각\u11a8",
    "漢字와 ｶﾅ",
    "a\u00a0b\u3000c",
]
PROSE = [
    "나는 어제 친구와 함께 학교에 갔다.",
    "그 책은 재미있었지만, 너무 길었다.",
    "그는 “좋아요”라고 말했다.",
    "OpenAI and Google, well-known",
    "2024년 3월 1일에 눈이 왔습니다!",
]


@pytest.mark.parametrize("config", KOREAN)
def test_written_morphemes_are_pieces_of_the_text(config):
    tokens = tokenize(SENTENCE, config)
    assert tokens[:7] == ["나", "는", "어제", "학교", "에", "갔", "다"]
    for text in [SENTENCE, *PROSE, *HOSTILE]:
        expected = text.lower().replace("\0", "\ufffd").replace("\udc80", "\ufffd")
        assert "".join(tokenize(text, config)) == "".join(expected.split())


@pytest.mark.parametrize("config", KOREAN)
def test_lemmas_of_verbs_end_in_da(config):
    lemmas = tokenize(SENTENCE, TextConfig(tokenizer=config.tokenizer, morphemes="lemmas"))
    assert {"가다", "사다", "학교", "에"} <= set(lemmas)
    assert not {"갔", "샀"} & set(lemmas)
    fused = tokenize("학굔데", TextConfig(tokenizer=config.tokenizer, morphemes="lemmas"))
    assert fused == ["학교", "이다", "ㄴ데"]


@pytest.mark.parametrize("config", KOREAN)
def test_parts_of_speech_are_kept(config):
    nouns = tokenize(SENTENCE, TextConfig(tokenizer=config.tokenizer, pos="NNG,NNP"))
    assert nouns == ["학교", "책"] or nouns == ["어제", "학교", "책"]
    assert "갔" in tokenize(SENTENCE, TextConfig(tokenizer=config.tokenizer, pos="V"))  # VV+EP


@pytest.mark.parametrize("config", KOREAN)
def test_pos_of_the_readme_drops_punctuation_alone(config):
    readme = Path(korean.__file__).with_name("README.md").read_text("utf-8")
    pos = re.search("`--pos (N,[^`]*)` keeps all morphemes but the marks", readme)[1]
    text = SENTENCE + " “OpenAI”와 (漢字), 1·2위…; 강?"
    every = tokenize(text, config)
    assert {".", "!", "“", "(", ","} <= set(every)
    kept = tokenize(text, TextConfig(tokenizer=config.tokenizer, pos=pos))
    assert kept == [token for token in every if any(char.isalnum() for char in token)]


@pytest.mark.parametrize("config", KIWI)
def test_user_dictionary_adds_words(config):
    assert "꽃길만걷자" not in tokenize("꽃길만걷자", config)
    decomposed = TextConfig(
        tokenizer="kiwi", user_dictionary=unicodedata.normalize("NFD", "꽃길만걷자") + "\tNNP"
    )
    assert tokenize("꽃길만걷자", decomposed) == ["꽃길만걷자"]
    known = TextConfig(tokenizer="kiwi", user_dictionary="꽃길만걷자\tNNP\n\nGPT넷\tNNP\t1.5\n")
    assert tokenize("꽃길만걷자 GPT넷을", known) == ["꽃길만걷자", "gpt넷", "을"]
    wrong = TextConfig(tokenizer="kiwi", user_dictionary="꽃길\tNNG\n꽃\tXYZ")
    with pytest.raises(ConfigError, match="user_dictionary: line 2 is refused by Kiwi"):
        tokenize("꽃", wrong)


@pytest.mark.parametrize("sentence", PROSE)
@pytest.mark.parametrize("config", KOREAN)
def test_detokenize_restores_korean_prose(config, sentence):
    config = TextConfig(tokenizer=config.tokenizer, lower=False)
    tokens = tokenize(sentence, config)
    assert detokenize(tokens, config) == sentence
    writer = Detokenizer(config)
    assert [writer.push(token) for token in tokens] == [""] * len(tokens)
    assert writer.push(None) == sentence


@pytest.mark.parametrize("config", KIWI)
def test_spaces_of_punctuation_rules_are_bounds(config):
    tokens = ["서울", "에", "갔", "다", "old", "new"]
    assert space_before(tokens, [False] * 6, config) == [False] * 6
    assert space_before(tokens, [False] + [True] * 5, config) == [False, False, True, False, True, True]
    assert space_before([], [], config) == []
