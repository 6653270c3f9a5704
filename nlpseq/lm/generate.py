"""Text the model writes: sampled, several at once, or the likeliest that a beam search finds.

Letters: N texts written side by side, V vocabulary entries.
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
from nlpseq.lm.sampling import NEVER, Sampling, choose
from nlpseq.tokenizers.base import normalize_and_tokenize
from nlpseq.tokenizers.detokenize import Detokenizer

if TYPE_CHECKING:
    from nlpseq.lm.language_model import LanguageModel

PROMPT_ROWS = 512  # tokens of a prompt read together


class Length(NamedTuple):
    """Where a text ends: after so many tokens, or so many line ends if that comes first."""

    num_tokens: int = 100
    sentences: int | None = None

    def check(self) -> Length:
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
    """What follows a prompt, piece by piece as it is written; unk: whether <unk> may be."""
    lines = _Lines(model, prompt)
    for tokens in sample(model, prompt, 1, length=length, sampling=sampling, unk=unk, seed=seed):
        yield lines.push(int(tokens[0]))
    yield lines.finish()


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
    """Texts that begin with the prompt; the n-th is the same however many there are."""
    written: list[list[int]] = [[] for _ in range(samples)]
    for tokens in sample(model, prompt, samples, length=length, sampling=sampling, unk=unk, seed=seed):
        for text, token in zip(written, tokens.tolist(), strict=True):
            text.append(token)
    return [prompt + _text(model, prompt, _cut(model, each, length)) for each in written]


def beam_search(
    model: LanguageModel,
    prompt: str = "",
    *,
    beam: int = 5,
    length: Length = Length(),  # noqa: B008
    unk: bool = False,
) -> str:
    """The likeliest text found by following the `beam` likeliest beginnings, token by token."""
    if beam < 1:
        raise ConfigError(f"beam is {beam}. It must be at least 1.")
    return prompt + _text(model, prompt, likeliest(model, prompt, beam, length.check(), unk=unk))


def unknown_words(model: LanguageModel, prompt: str) -> list[str]:
    """Words of a prompt that the model does not know, and reads as <unk>; each once."""
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
    """(N,) the next token of each text, until all have ended; what comes behind an end is to be cut off."""
    length.check()
    sampling.check()
    network, eos = model.model, len(model.vocab) - 1
    logits_NV, state = _read_prompt(model, prompt, samples)
    seen_NV = torch.zeros(samples, len(model.vocab), dtype=torch.bool, device=logits_NV.device)
    seen_NV[:, _prompt_ids(model, prompt)] = True
    ends_N = torch.zeros(samples, dtype=torch.long, device=logits_NV.device)
    for step in range(length.num_tokens):
        tokens_N = choose(_allowed(model, logits_NV, unk), seen_NV, sampling, seed, step)
        yield tokens_N
        seen_NV[torch.arange(samples), tokens_N] = True
        ends_N += tokens_N == eos
        if length.sentences is not None and int(ends_N.min()) >= length.sentences:
            return
        output = network(tokens_N.unsqueeze(0), state)
        logits_NV, state = network.logits(output.features_TBD[0]), output.state


class _Beginning(NamedTuple):
    """A text as far as a beam search has come with it."""

    score: float  # log-probability
    tokens: list[int]


@torch.no_grad()
def likeliest(model: LanguageModel, prompt: str, beam: int, length: Length, *, unk: bool) -> list[int]:
    """Tokens of the likeliest text a beam search finds; one that has ended stays as likely as it is."""
    eos = len(model.vocab) - 1
    logits_NV, state = _read_prompt(model, prompt, 1)
    best, going = _Beginning(NEVER, []), [_Beginning(0.0, [])]
    for _ in range(length.num_tokens):
        grown = _grown(going, _allowed(model, logits_NV, unk), beam)
        ended = [text for text, _ in grown if text.tokens.count(eos) == length.sentences]
        best = max([best, *ended])
        grown = [(text, row) for text, row in grown if text.score > best.score]  # a score can only fall
        if not grown:
            return best.tokens
        going, rows = [text for text, _ in grown], [row for _, row in grown]
        last_tokens = torch.tensor([[text.tokens[-1] for text in going]], device=logits_NV.device)
        state = [tuple(part[:, rows] for part in layer) for layer in state]
        output = model.model(last_tokens, state)
        logits_NV, state = model.model.logits(output.features_TBD[0]), output.state
    return max([best, *going]).tokens


def _grown(going: list[_Beginning], logits_NV: Tensor, beam: int) -> list[tuple[_Beginning, int]]:
    """The likeliest beginnings that are one token longer, each with the number of the one it came from."""
    scores_N = torch.tensor([text.score for text in going], dtype=torch.float64, device=logits_NV.device)
    totals_NV = scores_N[:, None] + torch.log_softmax(logits_NV.double(), 1)
    scores, places = totals_NV.flatten().topk(min(beam, totals_NV.numel()))
    grown = []
    for score, place in zip(scores.tolist(), places.tolist(), strict=True):
        row, token = divmod(place, logits_NV.shape[1])
        if score > NEVER:
            grown.append((_Beginning(score, [*going[row].tokens, token]), row))
    return grown


def _allowed(model: LanguageModel, logits_NV: Tensor, unk: bool) -> Tensor:
    """Logits of which that of <unk> is never taken, unless it may be."""
    if not unk:
        logits_NV[:, model.vocab.num_words] = NEVER
    return logits_NV


def _prompt_ids(model: LanguageModel, prompt: str) -> list[int]:
    """Tokens of a prompt, <eos> between its lines."""
    vocab, eos = model.vocab, len(model.vocab) - 1
    ids: list[int] = []
    for number, line in enumerate(prompt.split("\n")):
        ids += [eos] * (number > 0)
        ids += vocab.ids_of(normalize_and_tokenize(line, model.text_config))
    return ids


def _read_prompt(model: LanguageModel, prompt: str, samples: int) -> tuple[Tensor, State]:
    """(N, V) logits behind the prompt and the state there, N times the same."""
    network = model.model
    ids = [len(model.vocab) - 1, *_prompt_ids(model, prompt)]
    tokens_TB = torch.tensor(ids, device=network.output_bias.device).unsqueeze(1)
    state = network.initial_state(1)
    for start in range(0, len(ids), PROMPT_ROWS):
        output = network(tokens_TB[start : start + PROMPT_ROWS], state)
        state = output.state
    logits_NV = network.logits(output.features_TBD[-1]).repeat(samples, 1)
    return logits_NV, [tuple(part.repeat(1, samples, 1) for part in layer) for layer in state]


def _cut(model: LanguageModel, tokens: list[int], length: Length) -> list[int]:
    """Tokens up to the line end at which the text ends."""
    eos, ends = len(model.vocab) - 1, 0
    for i, token in enumerate(tokens):
        ends += token == eos
        if ends == length.sentences:
            return tokens[: i + 1]
    return tokens


def _text(model: LanguageModel, prompt: str, tokens: list[int]) -> str:
    lines = _Lines(model, prompt)
    return "".join(lines.push(token) for token in tokens) + lines.finish()


class _Lines:
    """Writes what follows a prompt, <eos> as a line end."""

    def __init__(self, model: LanguageModel, prompt: str) -> None:
        self._words, self._config = model.vocab.words, model.text_config
        before = normalize_and_tokenize(prompt.rpartition("\n")[2], self._config)
        self._line = Detokenizer(self._config, before)
        self._has_space = prompt[-1:].isspace() and self._config.tokenizer != "char"

    def push(self, token: int) -> str:
        if token < len(self._words) - 1:
            return self._joined(self._line.push(self._words[token]))
        ended = self._line.finish()
        self._line = Detokenizer(self._config)
        return self._joined(ended + "\n")

    def finish(self) -> str:
        return self._joined(self._line.finish())

    def _joined(self, text: str) -> str:
        """The same; but the prompt's own space is enough."""
        if text and self._has_space:
            text, self._has_space = text.removeprefix(" "), False
        return text
