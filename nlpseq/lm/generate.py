"""Text generation: sampling of several texts at once, and beam search.

Letters: N texts, V vocabulary entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from nlpseq.config import Length, Sampling
from nlpseq.dataset.vocab import UNK
from nlpseq.errors import ConfigError
from nlpseq.lm.model import State
from nlpseq.lm.sampling import NEVER, sample_next
from nlpseq.tokenizers.detokenize import Detokenizer

if TYPE_CHECKING:
    from nlpseq.lm.language_model import LanguageModel

__all__ = ["TextWriter", "beam_search", "generate", "likeliest", "sample", "stream", "unknown_words"]

PROMPT_ROWS = 512  # tokens of a prompt per pass


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
    yield writer.push(None)


def generate(
    model: LanguageModel,
    prompt: str = "",
    *,
    samples: int = 1,
    length: Length = Length(),  # noqa: B008  # immutable
    sampling: Sampling = Sampling(),  # noqa: B008
    unk: bool = False,
    seed: int = 1,
) -> list[str]:
    """Return texts that begin with the prompt; text n is the same for any number of samples."""
    writers = [TextWriter(model, prompt) for _ in range(samples)]
    texts, ends, eos = [prompt] * samples, [0] * samples, len(model.vocab) - 1
    for tokens in sample(model, prompt, samples, length=length, sampling=sampling, unk=unk, seed=seed):
        for n, token in enumerate(tokens.tolist()):
            if ends[n] != length.sentences:  # else the text has ended
                texts[n] += writers[n].push(token)
                ends[n] += token == eos
    return [text + writer.push(None) for text, writer in zip(texts, writers, strict=True)]


def beam_search(
    model: LanguageModel,
    prompt: str = "",
    *,
    beam: int = 5,
    length: Length = Length(),  # noqa: B008  # immutable
    unk: bool = False,
) -> str:
    """Return the likeliest text found by a search that keeps `beam` hypotheses."""
    if beam < 1:
        raise ConfigError(f"beam: {beam} is not valid. The value must be at least 1.")
    writer = TextWriter(model, prompt)
    tokens = likeliest(model, prompt, beam, length, unk=unk)
    return prompt + "".join(writer.push(token) for token in [*tokens, None])


def unknown_words(model: LanguageModel, prompt: str) -> list[str]:
    """Return the distinct words of a prompt that the model reads as <unk>."""
    lines = [_tokenize(model, line) for line in prompt.split("\n")]
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
    eos = len(model.vocab) - 1
    logits_NV, state = _read_prompt(model, prompt, samples, unk)
    seen_NV = torch.zeros(samples, len(model.vocab), dtype=torch.bool, device=logits_NV.device)
    seen_NV[:, _prompt_ids(model, prompt)] = True
    ends_N = torch.zeros(samples, dtype=torch.long, device=logits_NV.device)
    for step in range(length.num_tokens):
        tokens_N = sample_next(logits_NV, seen_NV, sampling, seed, step)
        yield tokens_N
        seen_NV.scatter_(1, tokens_N.unsqueeze(1), True)
        ends_N += tokens_N == eos
        if length.sentences is not None and int(ends_N.min()) >= length.sentences:
            return
        logits_NV, state = _read(model, tokens_N.unsqueeze(0), state, unk)


class _Hypothesis(NamedTuple):
    """A partial text of a beam search."""

    score: float  # log-probability
    tokens: list[int]


@torch.no_grad()
def likeliest(model: LanguageModel, prompt: str, beam: int, length: Length, *, unk: bool) -> list[int]:
    """Return the tokens of the likeliest text found; an ended text keeps its score."""
    eos = len(model.vocab) - 1
    logits_NV, state = _read_prompt(model, prompt, 1, unk)
    best, active = _Hypothesis(NEVER, []), [_Hypothesis(0.0, [])]
    for _ in range(length.num_tokens):
        extended = _extended(active, logits_NV, beam)
        ended = [text for text, _ in extended if text.tokens.count(eos) == length.sentences]
        best = max([best, *ended])
        extended = [(text, row) for text, row in extended if text.score > best.score]  # scores only fall
        if not extended:
            return best.tokens
        active, rows = [text for text, _ in extended], [row for _, row in extended]
        last_tokens = torch.tensor([[text.tokens[-1] for text in active]], device=logits_NV.device)
        state = [tuple(part[:, rows] for part in layer) for layer in state]
        logits_NV, state = _read(model, last_tokens, state, unk)
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


def _prompt_ids(model: LanguageModel, prompt: str) -> list[int]:
    """Return the ids of a prompt, with <eos> between lines."""
    vocab, eos = model.vocab, len(model.vocab) - 1
    ids: list[int] = []
    for number, line in enumerate(prompt.split("\n")):
        ids += [eos] * (number > 0)
        ids += vocab.ids_of(_tokenize(model, line))
    return ids


def _tokenize(model: LanguageModel, line: str) -> list[str]:
    """Return the tokens of a line of a prompt; <unk> in it is one token, but text for BPE."""
    first, *others = [line] if model.vocab.bpe else line.split(UNK)
    tokens = model.vocab.tokenize(first, model.text_config)
    for part in others:
        tokens += [UNK, *model.vocab.tokenize(part, model.text_config)]
    return tokens


def _read_prompt(model: LanguageModel, prompt: str, samples: int, unk: bool) -> tuple[Tensor, State]:
    """Return (N, V) logits after the prompt and the state, repeated N times."""
    ids = [len(model.vocab) - 1, *_prompt_ids(model, prompt)]
    tokens_T1 = torch.tensor(ids, device=model.model.output_bias.device).unsqueeze(1)
    logits_1V, state = _read(model, tokens_T1, model.model.initial_state(1), unk)
    state = [tuple(part.repeat(1, samples, 1) for part in layer) for layer in state]
    return logits_1V.repeat(samples, 1), state


def _read(model: LanguageModel, tokens_TN: Tensor, state: State, unk: bool) -> tuple[Tensor, State]:
    """Read on; return (N, V) logits of the next tokens, of <unk> only if allowed, and the state."""
    for tokens in torch.split(tokens_TN, PROMPT_ROWS):
        output = model.model(tokens, state)
        state = output.state
    logits_NV = model.model.logits(output.features_TBD[-1])
    if not unk:
        logits_NV[:, model.vocab.num_words] = NEVER
    return logits_NV, state


class TextWriter:
    """Write tokens as the continuation of a prompt, <eos> as a line end."""

    def __init__(self, model: LanguageModel, prompt: str) -> None:
        self._words, self._config, self._bpe = model.vocab.words, model.text_config, model.vocab.bpe
        before = _tokenize(model, prompt.rpartition("\n")[2])
        self._line = Detokenizer(self._config, before, self._bpe)
        self._has_space = prompt[-1:].isspace() and self._config.tokenizer_kind not in ("char", "bpe")

    def push(self, token: int | None) -> str:
        """Add a token, or None at the end; return the text known to be final."""
        if token is not None and token < len(self._words) - 1:
            text = self._line.push(self._words[token])
        else:
            text = self._line.push(None) + "\n" * (token is not None)
            self._line = Detokenizer(self._config, bpe=self._bpe)
        if text and self._has_space:  # because the prompt ends with a space
            text, self._has_space = text.removeprefix(" "), False
        return text
