"""Text generation: sampling of several texts at once, and beam search.

Letters: N texts, V vocabulary entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from nlpseq.config.fields import check
from nlpseq.dataset.vocab import UNK
from nlpseq.errors import ConfigError
from nlpseq.lm.model import State
from nlpseq.lm.sampling import NEVER, Sampling, sample_next
from nlpseq.tokenizers.base import normalize_and_tokenize
from nlpseq.tokenizers.detokenize import Detokenizer

if TYPE_CHECKING:
    from nlpseq.lm.language_model import LanguageModel

__all__ = [
    "Length",
    "TextWriter",
    "beam_search",
    "generate",
    "likeliest",
    "sample",
    "stream",
    "unknown_words",
]

PROMPT_ROWS = 512  # tokens of a prompt per pass


class Length(NamedTuple):
    """The length of a text: a number of tokens, or of line ends if reached first."""

    num_tokens: int = 100
    sentences: int | None = None

    def check(self) -> Length:
        """Return self; raise ConfigError if a value is out of range."""
        check(self.num_tokens >= 1, self, "num_tokens", "at least 1")
        check(self.sentences is None or self.sentences >= 1, self, "sentences", "at least 1")
        return self


def stream(
    model: LanguageModel,
    prompt: str = "",
    *,
    length: Length = Length(),  # noqa: B008  # immutable
    sampling: Sampling = Sampling(),  # noqa: B008
    unk: bool = False,
    seed: int = 1,
) -> Iterator[str]:
    """Yield the continuation of a prompt piece by piece; unk: allow <unk>."""
    writer = TextWriter(model, prompt)
    for tokens in sample(model, prompt, 1, length=length, sampling=sampling, unk=unk, seed=seed):
        yield writer.push(int(tokens[0]))
    yield writer.finish()


def generate(
    model: LanguageModel,
    prompt: str = "",
    *,
    samples: int = 1,
    length: Length = Length(),  # noqa: B008
    sampling: Sampling = Sampling(),  # noqa: B008
    unk: bool = False,
    seed: int = 1,
) -> list[str]:
    """Return texts that begin with the prompt; text n is the same for any number of samples."""
    written: list[list[int]] = [[] for _ in range(samples)]
    for tokens in sample(model, prompt, samples, length=length, sampling=sampling, unk=unk, seed=seed):
        for text, token in zip(written, tokens.tolist(), strict=True):
            text.append(token)
    return [_text(model, prompt, _truncated(model, each, length)) for each in written]


def beam_search(
    model: LanguageModel,
    prompt: str = "",
    *,
    beam: int = 5,
    length: Length = Length(),  # noqa: B008
    unk: bool = False,
) -> str:
    """Return the likeliest text found by a search that keeps `beam` hypotheses."""
    if beam < 1:
        raise ConfigError(f"beam: {beam} is not valid. The value must be at least 1.")
    return _text(model, prompt, likeliest(model, prompt, beam, length.check(), unk=unk))


def unknown_words(model: LanguageModel, prompt: str) -> list[str]:
    """Return the distinct words of a prompt that the model reads as <unk>."""
    lines = [normalize_and_tokenize(line, model.text_config) for line in prompt.split("\n")]
    words = [word for word in dict.fromkeys(chain.from_iterable(lines)) if word != UNK]
    ids = model.vocab.ids_of(words)
    return [word for word, word_id in zip(words, ids, strict=True) if word_id == model.vocab.num_words]


@torch.no_grad()
def sample(
    model: LanguageModel,
    prompt: str,
    samples: int,
    *,
    length: Length,
    sampling: Sampling,
    unk: bool,
    seed: int,
) -> Iterator[Tensor]:
    """Yield (N,) next tokens until all texts have ended; tokens after a text's end must be dropped."""
    length.check()
    sampling.check()
    network, eos = model.model, len(model.vocab) - 1
    logits_NV, state = _read_prompt(model, prompt, samples)
    seen_NV = torch.zeros(samples, len(model.vocab), dtype=torch.bool, device=logits_NV.device)
    seen_NV[:, _prompt_ids(model, prompt)] = True
    ends_N = torch.zeros(samples, dtype=torch.long, device=logits_NV.device)
    for step in range(length.num_tokens):
        tokens_N = sample_next(_allowed(model, logits_NV, unk), seen_NV, sampling, seed, step)
        yield tokens_N
        seen_NV.scatter_(1, tokens_N.unsqueeze(1), True)
        ends_N += tokens_N == eos
        if length.sentences is not None and int(ends_N.min()) >= length.sentences:
            return
        output = network(tokens_N.unsqueeze(0), state)
        logits_NV, state = network.logits(output.features_TBD[0]), output.state


class _Hypothesis(NamedTuple):
    """A partial text of a beam search."""

    score: float  # log-probability
    tokens: list[int]


@torch.no_grad()
def likeliest(model: LanguageModel, prompt: str, beam: int, length: Length, *, unk: bool) -> list[int]:
    """Return the tokens of the likeliest text found; an ended text keeps its score."""
    eos = len(model.vocab) - 1
    logits_NV, state = _read_prompt(model, prompt, 1)
    best, active = _Hypothesis(NEVER, []), [_Hypothesis(0.0, [])]
    for _ in range(length.num_tokens):
        extended = _extended(active, _allowed(model, logits_NV, unk), beam)
        ended = [text for text, _ in extended if text.tokens.count(eos) == length.sentences]
        best = max([best, *ended])
        extended = [(text, row) for text, row in extended if text.score > best.score]  # scores only fall
        if not extended:
            return best.tokens
        active, rows = [text for text, _ in extended], [row for _, row in extended]
        last_tokens = torch.tensor([[text.tokens[-1] for text in active]], device=logits_NV.device)
        state = [tuple(part[:, rows] for part in layer) for layer in state]
        output = model.model(last_tokens, state)
        logits_NV, state = model.model.logits(output.features_TBD[0]), output.state
    return max([best, *active]).tokens


def _extended(active: list[_Hypothesis], logits_NV: Tensor, beam: int) -> list[tuple[_Hypothesis, int]]:
    """Return the likeliest hypotheses longer by one token, each with its parent's row."""
    scores_N = torch.tensor([text.score for text in active], dtype=torch.float64, device=logits_NV.device)
    totals_NV = scores_N[:, None] + torch.log_softmax(logits_NV.double(), 1)
    scores, indices = totals_NV.flatten().topk(min(beam, totals_NV.numel()))
    extended = []
    for score, index in zip(scores.tolist(), indices.tolist(), strict=True):
        row, token = divmod(index, logits_NV.shape[1])
        if score > NEVER:
            extended.append((_Hypothesis(score, [*active[row].tokens, token]), row))
    return extended


def _allowed(model: LanguageModel, logits_NV: Tensor, unk: bool) -> Tensor:
    """Exclude <unk> from the logits, in place, unless allowed."""
    if not unk:
        logits_NV[:, model.vocab.num_words] = NEVER
    return logits_NV


def _prompt_ids(model: LanguageModel, prompt: str) -> list[int]:
    """Return the ids of a prompt, with <eos> between lines."""
    vocab, eos = model.vocab, len(model.vocab) - 1
    ids: list[int] = []
    for number, line in enumerate(prompt.split("\n")):
        ids += [eos] * (number > 0)
        ids += vocab.ids_of(normalize_and_tokenize(line, model.text_config))
    return ids


def _read_prompt(model: LanguageModel, prompt: str, samples: int) -> tuple[Tensor, State]:
    """Return (N, V) logits after the prompt and the state, repeated N times."""
    network = model.model
    ids = [len(model.vocab) - 1, *_prompt_ids(model, prompt)]
    tokens_TB = torch.tensor(ids, device=network.output_bias.device).unsqueeze(1)
    state = network.initial_state(1)
    for start in range(0, len(ids), PROMPT_ROWS):
        output = network(tokens_TB[start : start + PROMPT_ROWS], state)
        state = output.state
    logits_NV = network.logits(output.features_TBD[-1]).repeat(samples, 1)
    return logits_NV, [tuple(part.repeat(1, samples, 1) for part in layer) for layer in state]


def _truncated(model: LanguageModel, tokens: list[int], length: Length) -> list[int]:
    """Return the tokens up to the last line end of the length."""
    eos, ends = len(model.vocab) - 1, 0
    for i, token in enumerate(tokens):
        ends += token == eos
        if ends == length.sentences:
            return tokens[: i + 1]
    return tokens


def _text(model: LanguageModel, prompt: str, tokens: list[int]) -> str:
    writer = TextWriter(model, prompt)
    return prompt + "".join(writer.push(token) for token in tokens) + writer.finish()


class TextWriter:
    """Write tokens as the continuation of a prompt, <eos> as a line end."""

    def __init__(self, model: LanguageModel, prompt: str) -> None:
        self._words, self._config = model.vocab.words, model.text_config
        before = normalize_and_tokenize(prompt.rpartition("\n")[2], self._config)
        self._line = Detokenizer(self._config, before)
        self._has_space = prompt[-1:].isspace() and self._config.tokenizer != "char"

    def push(self, token: int) -> str:
        """Add a token; return the text known to be final."""
        if token < len(self._words) - 1:
            return self._without_double_space(self._line.push(self._words[token]))
        ended = self._line.finish()
        self._line = Detokenizer(self._config)
        return self._without_double_space(ended + "\n")

    def finish(self) -> str:
        """Return the remaining text."""
        return self._without_double_space(self._line.finish())

    def _without_double_space(self, text: str) -> str:
        """Remove a leading space if the prompt ends with a space."""
        if text and self._has_space:
            text, self._has_space = text.removeprefix(" "), False
        return text
