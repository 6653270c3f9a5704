"""nlpseq eval-lm: how well a language model predicts a text."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.errors import ArtifactError, DataError, NlpseqError

from ._command import Command
from ._console import print_columns, print_json, say, say_warning
from ._lm import encode_for, find_data, lm_argument, load_model
from ._options import json_option

if TYPE_CHECKING:
    from nlpseq.lm.evaluate import Judgement
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.text.dataset import TokenDataset

PROTOCOL = (
    "protocol: the text read once in one column, the state carried on, the first token predicted from <eos>; "
    "every token and every line's <eos> predicted once, with the whole softmax"
)


@click.command(
    "eval-lm",
    cls=Command,
    examples=[
        "nlpseq eval-lm corpus.lm",
        "nlpseq eval-lm corpus.lm corpus.txt --cache --json",
    ],
)
@lm_argument
@click.argument("text", nargs=-1, metavar="[TEXT...]")
@click.option("--cache", is_flag=True, help="also with a neural cache of what was just read")
@click.option("--dynamic", is_flag=True, help="also with weights that go on learning while they read")
@json_option
def eval_lm(model: Path, text: tuple[str, ...], cache: bool, dynamic: bool, as_json: bool) -> None:
    """Perplexity of TEXT under the language model LM, beside that of models that only count.

    Without TEXT the test split of LM's own corpus is judged. TEXT may also be a folder of `nlpseq preprocess`
    made with the same vocabulary. A unigram model and an interpolated Kneser-Ney 5-gram model of the train
    split tell what a perplexity is worth.
    """
    lm = load_model(model)
    own, valid, missing = _own_data(model, lm)
    judged = _judged(lm, text, own, missing)
    say(PROTOCOL)
    answer = _figures(lm, judged)
    answer |= _adapted(lm, judged, own, valid, cache=cache, dynamic=dynamic)
    answer |= _baselines(own, judged, missing)
    if as_json:
        print_json(answer)
    else:
        print_columns((name.replace("_", " "), _shown(value)) for name, value in answer.items())


def _own_data(
    path: Path, lm: LanguageModel
) -> tuple[TokenDataset | None, TokenDataset | None, NlpseqError | None]:
    """The corpus of the run and its validation text, or why there is none."""
    try:
        data, valid = find_data(path, lm.meta)
        return data, data.split("valid") if valid is None else valid, None
    except (ArtifactError, DataError) as error:
        return None, None, error


def _judged(
    lm: LanguageModel, text: tuple[str, ...], own: TokenDataset | None, missing: NlpseqError | None
) -> TokenDataset:
    if text:
        data = encode_for(text, lm.text_config, lm.vocab)
        lm.check_vocab(data)
        return data
    if own is None:
        assert missing is not None
        raise missing
    return own.split("test")


def _figures(lm: LanguageModel, data: TokenDataset) -> dict[str, Any]:
    from nlpseq.lm.evaluate import judge

    found: Judgement = judge(lm.model, data)
    return found._asdict()


def _adapted(
    lm: LanguageModel,
    data: TokenDataset,
    own: TokenDataset | None,
    valid: TokenDataset | None,
    *,
    cache: bool,
    dynamic: bool,
) -> dict[str, Any]:
    """Perplexities of the network that adapts to what it reads; None where not asked for."""
    answer: dict[str, Any] = {"cache": None, "dynamic": None}
    if (cache or dynamic) and (own is None or valid is None):
        raise ArtifactError(
            "--cache and --dynamic are tuned on the validation text of the model, which is not to be found. "
            "Bring its corpus back, or leave them out."
        )
    if cache and valid is not None:
        answer["cache"] = _with_cache(lm, data, valid)
    if dynamic and own is not None and valid is not None:
        answer["dynamic"] = _with_dynamic(lm, data, own, valid)
    return answer


def _with_cache(lm: LanguageModel, data: TokenDataset, valid: TokenDataset) -> float:
    from nlpseq.evaluation.ngram import perplexity
    from nlpseq.lm.batches import Stream
    from nlpseq.lm.cache import cache_log_probs, tune_cache

    settings = tune_cache(lm.model, Stream(valid))
    say(
        f"cache: window {settings.window}, theta {settings.theta:.4g}, share {settings.share}, "
        "tuned on the validation text"
    )
    return perplexity(cache_log_probs(lm.model, Stream(data), settings))


def _with_dynamic(lm: LanguageModel, data: TokenDataset, own: TokenDataset, valid: TokenDataset) -> float:
    from nlpseq.evaluation.ngram import perplexity
    from nlpseq.lm.batches import Stream
    from nlpseq.lm.dynamic import dynamic_log_probs, gradient_statistics, tune_dynamic

    statistics = gradient_statistics(lm.model, Stream(own.split("train")))
    settings = tune_dynamic(lm.model, Stream(valid), statistics)
    say(
        f"dynamic: learning rate {settings.learning_rate:g}, decay {settings.decay:g}, a step every "
        f"{settings.rows} tokens, tuned on the validation text"
    )
    return perplexity(dynamic_log_probs(lm.model, Stream(data), statistics, settings))


def _baselines(
    own: TokenDataset | None, data: TokenDataset, missing: NlpseqError | None
) -> dict[str, float | None]:
    """Perplexities of models that count the train split; None, and why, where that is gone."""
    if own is None:
        say_warning(f"no baselines: {missing}")
        return {"unigram": None, "kneser_ney": None}
    from nlpseq.evaluation.ngram import kneser_ney_log_probs, perplexity, unigram_log_probs

    train = own.split("train")
    return {
        "unigram": perplexity(unigram_log_probs(train, data)),
        "kneser_ney": perplexity(kneser_ney_log_probs(train, data)),
    }


def _shown(value: float | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if value < 10 else f"{value:,.2f}"
