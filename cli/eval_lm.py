"""nlpseq eval-lm: evaluate a language model on a text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import Format, TextConfig
from nlpseq.core.resources import TORCH, available_memory, count_text, size_text
from nlpseq.errors import ArtifactError, DataError

from ._app import Command
from ._inputs import dataset_folder, encode_as, encode_for, load_model, offer_encoding
from ._options import (
    encoding_options,
    json_option,
    lm_argument,
    machine_options,
    require_with,
    source_options,
)
from ._output import console, print_columns, print_json, say, say_warning

__all__ = ["eval_lm"]

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.lm.evaluate import Evaluation, Perplexities
    from nlpseq.lm.language_model import LanguageModel

    Floats = npt.NDArray[np.float64]

KNESER_NEY_BYTES = 120  # per token of both texts
MAX_UNKNOWN_SHARE = 0.01  # because many <unk> make the scores too good
ROWS = {
    "perplexity": "perplexity",
    "bits_per_token": "bits per token",
    "bits_per_character": "bits per character",
    "tokens": "tokens",
    "unk": "tokens <unk>",
    "cache": "perplexity with a cache",
    "dynamic": "perplexity with dynamic evaluation",
    "unigram": "perplexity of unigrams",
    "kneser_ney": "perplexity of a Kneser-Ney 5-gram",
}
COUNTS = {
    "tokens": "tokens",
    "unk": "tokens <unk>",
    "known_tokens": "tokens but <unk>",
    "unk_types": "types <unk>",
}
WAYS = {  # to count <unk>, as beginnings of keys; the fairest first
    "spread_": ", <unk> spread over its types",
    "known_": ", known tokens",
    "": ", <unk> as one word",
}
PROTOCOL = (
    "protocol: text read once in one column, state carried from line to line, first token predicted from "
    "<eos>; every token and the <eos> of every line predicted once, with the full softmax"
)


@click.command(
    "eval-lm",
    cls=Command,
    addresses=TORCH,
    examples=[
        "nlpseq eval-lm corpus.lm",
        "nlpseq eval-lm corpus.lm corpus.txt --cache --json",
    ],
)
@lm_argument
@click.argument("text", nargs=-1, metavar="[TEXT...]")
@click.option("--cache", is_flag=True, help="also evaluate with a neural cache of recent words")
@click.option(
    "--dynamic", is_flag=True, help="also evaluate with dynamic evaluation: the weights adapt to the text"
)
@encoding_options
@source_options
@machine_options
@json_option
def eval_lm(
    model: Path,
    text: tuple[str, ...],
    cache: bool,
    dynamic: bool,
    encoding: str,
    encoding_errors: Any,
    column: str | None,
    format: Format,
    threads: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Print the perplexity of TEXT under the language model LM.

    Without TEXT, evaluate on the test split of LM's own corpus. TEXT may also be a folder of `nlpseq
    preprocess` with the same vocabulary; if the folder has a test split, evaluate on the test split. For
    comparison, print the perplexities of a unigram model and of an interpolated Kneser-Ney 5-gram model of
    the train split. If tokens are unknown words, the first row divides each probability of <unk> among these
    words, and -v prints all figures.
    """
    lm = load_model(model, threads, device)
    from nlpseq.lm.evaluate import evaluate, perplexities
    from nlpseq.reading.columns import require_columns

    own, config = _own_data(model, lm), lm.text_config
    for option in ("encoding", "encoding_errors", "column", "format"):
        require_with(option, "a TEXT", is_there=bool(text) and not dataset_folder(text))
    config = replace(
        config,
        encoding=encoding,
        encoding_errors=encoding_errors or config.encoding_errors,
        column=column or config.column,
        format=format,
    )
    with offer_encoding(model, lm.text_config.encoding):
        data = _evaluation_data(model, lm, text, own, config)
    if column is not None:
        require_columns(data.meta["read"]["formats"], text[0])
    valid = _validation_text(model, lm, own) if cache or dynamic else None
    say(PROTOCOL)
    found = evaluate(lm.model, data)
    log_probs = {
        "cache": _with_cache(lm, data, valid) if cache and valid else None,
        "dynamic": _with_dynamic(lm, data, own, valid) if dynamic and valid else None,
    } | _baselines(own, data)
    others = {name: None if each is None else perplexities(each, data) for name, each in log_probs.items()}
    answer = _answer(found, others)
    if found.unk > MAX_UNKNOWN_SHARE * found.tokens:
        say_warning(
            f"{found.unk / found.tokens:.1%} of the tokens are <unk>, and <unk> is easier to predict than a "
            "word. Compare models by the figures of the known tokens, or with <unk> spread over its types."
        )
    if as_json:
        print_json(answer)
    else:
        print_columns(_rows(answer, details=console().verbosity > 0))


def _own_data(path: Path, lm: LanguageModel) -> TokenDataset | ArtifactError:
    """Return the corpus of the run, or the error if the corpus is missing."""
    from nlpseq.training.provenance import find_dataset

    try:
        return find_dataset(path, lm.meta, encode=encode_as)
    except ArtifactError as error:
        return error


def _evaluation_data(
    path: Path,
    lm: LanguageModel,
    text: tuple[str, ...],
    own: TokenDataset | ArtifactError,
    config: TextConfig,
) -> TokenDataset:
    """Return the text, or the test split of an encoded corpus, by default of the run's own corpus."""
    if text and not dataset_folder(text):
        return encode_for(text, config, lm.vocab)
    data = encode_for(text, config, lm.vocab) if text else _or_raise(own)
    lm.check_vocab(data)
    name = text[0] if text else f"the corpus of {path}"
    first, end = data.meta["splits"]["test"]
    if first < end:
        say(f"evaluating on the test split of {name}")
        return data.split("test")
    if not text or data.digest == lm.meta["data_digest"]:
        raise DataError(f"{name}: no test split, and the model was trained on the rest. Name another text.")
    return data


def _or_raise(own: TokenDataset | ArtifactError) -> TokenDataset:
    if isinstance(own, ArtifactError):
        raise own
    return own


def _validation_text(path: Path, lm: LanguageModel, own: TokenDataset | ArtifactError) -> TokenDataset:
    """Return the text that tunes --cache and --dynamic."""
    from nlpseq.training.provenance import find_valid

    try:
        return find_valid(path, lm.meta, _or_raise(own), encode_as)
    except ArtifactError as error:
        raise ArtifactError(
            f"--cache and --dynamic need the validation text: {error} Or leave out both options."
        ) from error


def _answer(found: Evaluation, others: dict[str, Perplexities | None]) -> dict[str, float | None]:
    """Return the keys of --json with their values; others: perplexities by key."""
    every = {"perplexity": found.perplexity, **others}
    return {
        "perplexity": found.perplexity.all,
        "bits_per_token": found.bits_per_token,
        "bits_per_character": found.bits_per_character,
        "tokens": found.tokens,
        "unk": found.unk,
        **{name: each and each.all for name, each in others.items()},
        "unk_share": found.unk / found.tokens,
        "unk_types": found.unk_types,
        "known_tokens": found.tokens - found.unk,
        **{f"known_{name}": each and each.known for name, each in every.items()},
        **{f"spread_{name}": each and each.spread for name, each in every.items()},
        "spread_bits_per_character": found.spread_bits_per_character,
    }


def _rows(answer: dict[str, float | None], *, details: bool) -> Iterator[tuple[str, str]]:
    """Yield label and value of each figure; details: of every figure, also if tokens are <unk>."""
    labels = ROWS
    if answer["unk"]:
        every = {f"{way}{name}": label + told for way, told in WAYS.items() for name, label in ROWS.items()}
        fair = next(way for way in WAYS if answer[f"{way}perplexity"] is not None)
        first = [*(f"{way}perplexity" for way in WAYS), f"{fair}bits_per_character", "tokens", "unk"]
        first += [f"{fair}{name}" for name in ("cache", "dynamic", "unigram", "kneser_ney")]
        every |= COUNTS
        labels = {name: every[name] for name in dict.fromkeys([*first, *(every if details else ())])}
    for name, label in labels.items():
        if (value := answer.get(name)) is not None:
            yield label, _shown(value)


def _with_cache(lm: LanguageModel, data: TokenDataset, valid: TokenDataset) -> Floats:
    from nlpseq.lm.batches import Stream
    from nlpseq.lm.neural_cache import cache_log_probs, tune_cache

    say("cache: tuning")
    settings = tune_cache(lm.model, Stream(valid))
    say(
        f"cache: window {settings.window}, theta {settings.theta:.4g}, weight {settings.cache_weight}, "
        "tuned on the validation text"
    )
    return cache_log_probs(lm.model, Stream(data), settings)


def _with_dynamic(
    lm: LanguageModel, data: TokenDataset, own: TokenDataset | ArtifactError, valid: TokenDataset
) -> Floats:
    from nlpseq.lm.batches import Stream
    from nlpseq.lm.dynamic import dynamic_log_probs, gradient_statistics, tune_dynamic

    say("dynamic: tuning, perhaps for minutes")
    statistics = gradient_statistics(lm.model, Stream(_or_raise(own).split("train")))
    settings = tune_dynamic(lm.model, Stream(valid), statistics)
    say(
        f"dynamic: learning rate {settings.learning_rate:g}, decay {settings.decay:g}, one step per "
        f"{count_text(settings.rows, 'token')}, tuned on the validation text"
    )
    return dynamic_log_probs(lm.model, Stream(data), statistics, settings)


def _baselines(own: TokenDataset | ArtifactError, data: TokenDataset) -> dict[str, Floats | None]:
    """Return log-probabilities by count-based models; None, with a warning, if a model is not possible."""
    from nlpseq.evaluation.ngram import kneser_ney_log_probs, unigram_log_probs

    answer: dict[str, Floats | None] = {"unigram": None, "kneser_ney": None}
    if isinstance(own, ArtifactError):
        say_warning(f"no baselines: {own}")
        return answer
    train = own.split("train")
    answer["unigram"] = unigram_log_probs(train, data)
    needed, available = KNESER_NEY_BYTES * (train.num_tokens + data.num_tokens), available_memory()
    if needed > available:
        say_warning(
            f"no 5-gram model: needs {size_text(needed)} of memory, {size_text(available)} available."
        )
        return answer
    answer["kneser_ney"] = kneser_ney_log_probs(train, data)
    return answer


def _shown(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if value < 10 else f"{value:,.2f}"
