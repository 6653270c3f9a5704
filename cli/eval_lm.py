"""nlpseq eval-lm: how well a language model predicts a text."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.core.resources import TORCH, available_memory, size_text
from nlpseq.errors import ArtifactError, DataError

from ._app import Command
from ._inputs import dataset_folder, encode_for, find_valid, lm_argument, load_model, machine_options
from ._options import json_option
from ._output import print_columns, print_json, say, say_warning
from ._whereabouts import find_data

if TYPE_CHECKING:
    from nlpseq.dataset.token_dataset import TokenDataset
    from nlpseq.lm.evaluate import Evaluation
    from nlpseq.lm.language_model import LanguageModel

KNESER_NEY_BYTES = 120  # for each token that is counted or judged
MANY_UNKNOWN = 0.01  # of the tokens, from which on figures are better than the model
ROWS = {
    "perplexity": "perplexity",
    "bits_per_token": "bits per token",
    "bits_per_character": "bits per character",
    "tokens": "tokens",
    "unk": "of them <unk>",
    "cache": "perplexity with a cache",
    "dynamic": "perplexity with dynamic evaluation",
    "unigram": "perplexity of unigrams",
    "kneser_ney": "perplexity of a Kneser-Ney 5-gram",
}
PROTOCOL = (
    "protocol: the text read once in one column, the state carried on, the first token predicted from <eos>; "
    "every token and every line's <eos> predicted once, with the whole softmax"
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
@click.option("--cache", is_flag=True, help="also with a neural cache of what was just read")
@click.option("--dynamic", is_flag=True, help="also with weights that go on learning while they read")
@machine_options
@json_option
def eval_lm(
    model: Path,
    text: tuple[str, ...],
    cache: bool,
    dynamic: bool,
    threads: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Perplexity of TEXT under the language model LM, beside that of models that only count.

    Without TEXT the test split of LM's own corpus is judged. TEXT may also be a folder of `nlpseq preprocess`
    made with the same vocabulary; of one with a test split, that is judged. A unigram model and an
    interpolated Kneser-Ney 5-gram model of the train split tell what a perplexity is worth.
    """
    lm = load_model(model, threads, device)
    own = _own_data(model, lm)
    judged = _judged(model, lm, text, own)
    valid = _validation_text(model, lm, own) if cache or dynamic else None
    say(PROTOCOL)
    answer = _figures(lm, judged)
    answer |= {
        "cache": _with_cache(lm, judged, valid) if cache and valid else None,
        "dynamic": _with_dynamic(lm, judged, own, valid) if dynamic and valid else None,
    }
    answer |= _baselines(own, judged)
    if answer["unk"] > MANY_UNKNOWN * answer["tokens"]:
        say_warning(
            f"{answer['unk'] / answer['tokens']:.1%} of the tokens are <unk>, which is easier to predict "
            "than what it stands for. Compare with models of the same vocabulary alone, by whatever figure."
        )
    if as_json:
        print_json(answer)
    else:
        print_columns((ROWS[name], _shown(value)) for name, value in answer.items() if value is not None)


def _own_data(path: Path, lm: LanguageModel) -> TokenDataset | ArtifactError:
    """The corpus of the run, or why there is none."""
    try:
        return find_data(path, lm.meta)
    except ArtifactError as error:
        return error


def _judged(
    path: Path, lm: LanguageModel, text: tuple[str, ...], own: TokenDataset | ArtifactError
) -> TokenDataset:
    """What is to be judged: a text, or a test split, that of the run's own corpus if nothing is named."""
    if text and not dataset_folder(text):
        return encode_for(text, lm.text_config, lm.vocab)
    data = encode_for(text, lm.text_config, lm.vocab) if text else _or_raise(own)
    lm.check_vocab(data)
    name = text[0] if text else f"the corpus of {path}"
    first, end = data.meta["splits"]["test"]
    if first < end:
        say(f"judging the test split of {name}")
        return data.split("test")
    if not text or data.digest == lm.meta["data_digest"]:
        raise DataError(f"{name} has no test split, and the rest was trained on. Name another text to judge.")
    return data


def _or_raise(own: TokenDataset | ArtifactError) -> TokenDataset:
    if isinstance(own, ArtifactError):
        raise own
    return own


def _validation_text(path: Path, lm: LanguageModel, own: TokenDataset | ArtifactError) -> TokenDataset:
    """What --cache and --dynamic are tuned on."""
    try:
        return find_valid(path, lm.meta, _or_raise(own))
    except ArtifactError as error:
        raise ArtifactError(
            f"--cache and --dynamic are tuned on the validation text, but {error} Or leave them out."
        ) from error


def _figures(lm: LanguageModel, data: TokenDataset) -> dict[str, Any]:
    from nlpseq.lm.evaluate import evaluate

    found: Evaluation = evaluate(lm.model, data)
    return found._asdict()


def _with_cache(lm: LanguageModel, data: TokenDataset, valid: TokenDataset) -> float:
    from nlpseq.evaluation.ngram import perplexity
    from nlpseq.lm.batches import Stream
    from nlpseq.lm.neural_cache import cache_log_probs, tune_cache

    say("cache: being tuned")
    settings = tune_cache(lm.model, Stream(valid))
    say(
        f"cache: window {settings.window}, theta {settings.theta:.4g}, weight {settings.cache_weight}, "
        "tuned on the validation text"
    )
    return perplexity(cache_log_probs(lm.model, Stream(data), settings))


def _with_dynamic(
    lm: LanguageModel, data: TokenDataset, own: TokenDataset | ArtifactError, valid: TokenDataset
) -> float:
    from nlpseq.evaluation.ngram import perplexity
    from nlpseq.lm.batches import Stream
    from nlpseq.lm.dynamic import dynamic_log_probs, gradient_statistics, tune_dynamic

    say("dynamic: being tuned, which can take minutes")
    statistics = gradient_statistics(lm.model, Stream(_or_raise(own).split("train")))
    settings = tune_dynamic(lm.model, Stream(valid), statistics)
    say(
        f"dynamic: learning rate {settings.learning_rate:g}, decay {settings.decay:g}, a step every "
        f"{settings.rows} tokens, tuned on the validation text"
    )
    return perplexity(dynamic_log_probs(lm.model, Stream(data), statistics, settings))


def _baselines(own: TokenDataset | ArtifactError, data: TokenDataset) -> dict[str, float | None]:
    """Perplexities of models that count the train split; None, and why, where that cannot be."""
    from nlpseq.evaluation.ngram import kneser_ney_log_probs, perplexity, unigram_log_probs

    answer: dict[str, float | None] = {"unigram": None, "kneser_ney": None}
    if isinstance(own, ArtifactError):
        say_warning(f"no baselines: {own}")
        return answer
    train = own.split("train")
    answer["unigram"] = perplexity(unigram_log_probs(train, data))
    needed, available = KNESER_NEY_BYTES * (train.num_tokens + data.num_tokens), available_memory()
    if needed > available:
        sizes = f"{size_text(needed)} of memory and {size_text(available)} are available"
        say_warning(f"no 5-gram model: it needs {sizes}.")
        return answer
    answer["kneser_ney"] = perplexity(kneser_ney_log_probs(train, data))
    return answer


def _shown(value: float | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if value < 10 else f"{value:,.2f}"
