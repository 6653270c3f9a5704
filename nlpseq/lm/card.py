"""The model card: README.md in the folder of a model."""

from collections.abc import Mapping, Sequence
from typing import Any

from nlpseq.dataset.vocab import Vocab

__all__ = ["model_card"]

_RATES = {
    "words": "dropout_words",
    "input": "dropout_input",
    "between layers": "dropout_hidden",
    "output": "dropout_output",
    "recurrent weights": "weight_drop",
}


def model_card(meta: Mapping[str, Any], vocab: Vocab, metrics: Sequence[Mapping[str, Any]]) -> str:
    """Return a Markdown page with the model's network, data, quality and use."""
    config, text = meta["config"], meta["text_config"]
    state = meta["position"]
    unknown, counted = vocab.counts[vocab.num_words], vocab.counts[: vocab.num_words + 1].sum()
    unk_share = meta.get("unk_share", unknown / max(1, counted))  # older models do not store the share
    validated = [each for each in metrics if "valid_loss" in each]
    best = min((each["valid_perplexity"] for each in validated), default=float("nan"))
    rows = [
        ("corpus", meta["corpus"]),
        ("tokens", f"{text['tokenizer']}, lower-case {'yes' if text['lower'] else 'no'}"),
        ("vocabulary", f"{meta['num_entries']:,} entries, <unk> and <eos> included"),
        ("unknown", f"{unk_share:.2%} of the training text is <unk>"),
        (
            "trained on",
            f"{meta['train_tokens']:,} tokens, {state['tokens'] / meta['train_tokens']:.1f} passes",
        ),
        ("validated on", f"{meta['valid_tokens_read']:,} of {meta['valid_tokens']:,} tokens"),
        (
            "network",
            f"{config['layers']} x {config['cell']} of {config['hidden']:,} units, embedding {config['dim']}",
        ),
        ("parameters", f"{meta['num_parameters']:,}"),
        ("validation perplexity", f"{best:.2f}, the best of {len(validated)}, measured in several columns"),
        ("dropout", ", ".join(f"{name} {config[key]:g}" for name, key in _RATES.items())),
        (
            "training",
            f"{state['seconds']:.0f} s on {meta['device']}, {meta['precision']}, seed {config['seed']}",
        ),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"""# A recurrent language model of {meta["corpus"]}

|  |  |
|---|---|
{table}

    nlpseq generate THIS_FOLDER --prompt "The"     continue a text
    nlpseq score THIS_FOLDER sentences.txt         log-probability of each sentence
    nlpseq eval-lm THIS_FOLDER text.txt            perplexity of a text
    nlpseq plot THIS_FOLDER                        curves of training and validation loss

In Python: `nlpseq.LanguageModel.load("THIS_FOLDER").generate("The")`. Perplexities of models with different
vocabularies cannot be compared; bits per character can, if no word of the text is `<unk>`.
"""
