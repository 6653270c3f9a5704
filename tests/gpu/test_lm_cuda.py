"""The language model on a CUDA device against the CPU; training, bf16, resume, generation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.word2vec_runs import encode, sentences, stop_after

import nlpseq as ns
from nlpseq.training.checkpoint import CheckpointConfig

pytestmark = pytest.mark.filterwarnings("ignore:RNN module weights are not part")  # of cuDNN

SMALL: dict[str, Any] = {
    **{"hidden": 32, "dim": 16, "layers": 1, "batch_size": 4, "bptt": 10, "threads": 1, "epochs": 3},
    **{"precision": "fp32", "learning_rate": 0.01, "validate_every": 0.5},
}
NO_DROPOUT = {f"dropout_{place}": 0.0 for place in ("words", "input", "hidden", "output")} | {
    "weight_drop": 0.0
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ns.TokenDataset:
    folder = tmp_path_factory.mktemp("text")
    return encode(folder, sentences(1200), valid_share=0.1, test_share=0.1)


def train(data: ns.TokenDataset, device: Any, **settings: Any) -> ns.LanguageModel:
    return ns.train_lm(data, ns.LMConfig(**SMALL | {"device": str(device)} | settings))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("softmax", ["full", "sampled"])
def test_gradients_match_cpu(device: Any, cell: str, softmax: str) -> None:
    import torch

    from nlpseq.lm.losses import NegativeSampler, linear_cross_entropy, sampled_cross_entropy
    from nlpseq.lm.model import RecurrentLM

    config = ns.LMConfig(cell=cell, hidden=33, dim=17, layers=2)
    rows_TB = torch.randint(50, (12, 5), generator=torch.Generator().manual_seed(1))
    counts_V = torch.arange(50, 0, -1)
    results = []
    for place in (torch.device("cpu"), device):
        model, tokens_TB = RecurrentLM(config, 50).to(place), rows_TB.to(place)
        output = model(tokens_TB[:-1], model.initial_state(5))
        features_ND, targets_N = output.features_TBD.flatten(0, 1), tokens_TB[1:].flatten()
        layer = features_ND, model.softmax_weight, model.output_bias, targets_N
        if softmax == "full":
            loss = linear_cross_entropy(*layer, torch.float32)
        else:  # a sample of all entries, because generators of devices differ
            sampler = NegativeSampler(counts_V.to(place), 50)
            loss = sampled_cross_entropy(*layer, sampler, torch.Generator(place), torch.float32)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        results.append([loss.detach().cpu(), *(each.cpu() for each in gradients)])
    for found, wanted in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5)


def test_masks_repeat_and_keep_expectation(device: Any) -> None:
    import torch

    from nlpseq.lm.dropout import DropoutMasks

    first, again = (DropoutMasks(1, 2, device).mask(0.3, 100_000) for _ in range(2))
    assert first.device.type == device.type
    assert torch.equal(first, again)
    assert float((first == 0).double().mean()) == pytest.approx(0.3, abs=0.01)  # 7 sigma
    assert float(first.double().mean()) == pytest.approx(1, abs=0.015)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_training_losses_match_cpu(device: Any, data: ns.TokenDataset, optimizer: str) -> None:
    rate = 1.0 if optimizer == "sgd" else 0.01
    settings = NO_DROPOUT | {"softmax": "full", "optimizer": optimizer, "learning_rate": rate}
    here, there = (train(data, place, **settings) for place in ("cpu", device))
    losses = [[line["loss"] for line in model.metrics if "loss" in line] for model in (here, there)]
    assert len(losses[0]) > 2
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02)  # rounding errors grow over steps
    here.model.to("cpu"), there.model.to("cpu")
    test = data.split("test")
    assert there.perplexity(test) == pytest.approx(here.perplexity(test), rel=0.02)


def test_training_with_all_options_learns(device: Any, data: ns.TokenDataset) -> None:
    """Dropout, sampled softmax, two layers, averaging and penalties run on the device."""
    settings = {"layers": 2, "softmax": "sampled", "samples": 8, "averaging": "ema", "ar": 1.0, "tar": 1.0}
    model = train(data, device, **settings, lengths="bucketed", dropout_words=0.05)
    assert model.perplexity(data.split("test")) < 0.8 * len(data.vocab)


def test_bf16_trains_and_probe_gives_reason(device: Any, data: ns.TokenDataset) -> None:
    model = train(data, device, precision="auto", epochs=1)
    assert model.meta["precision"] in ("fp32", "bf16")
    try:
        model = train(data, device, precision="bf16")
    except ns.BackendUnavailable as error:
        pytest.skip(str(error))
    assert model.meta["precision"] == "bf16"
    assert model.perplexity(data.split("test")) < 0.8 * len(data.vocab)


def test_stopped_run_resumes_on_device(device: Any, data: ns.TokenDataset, tmp_path: Path) -> None:
    path = tmp_path / "run.lm"
    config = ns.LMConfig(**SMALL | NO_DROPOUT | {"device": str(device)})
    checkpoint = CheckpointConfig(path=path, should_stop=stop_after(100))
    assert not ns.train_lm(data, config, checkpoint=checkpoint).meta["complete"]
    resumed, whole = ns.resume(path), ns.train_lm(data, config)
    assert resumed.meta["complete"]
    test = data.split("test")
    # atomic additions of a GPU come in any order
    assert resumed.perplexity(test) == pytest.approx(whole.perplexity(test), rel=0.02)


def test_model_answers_alike_on_device_and_cpu(device: Any, data: ns.TokenDataset, tmp_path: Path) -> None:
    """Generation, beam search, scores, cache and dynamic evaluation agree with the CPU."""
    from nlpseq.config import Length, Sampling
    from nlpseq.lm.batches import Stream
    from nlpseq.lm.dynamic import DynamicSettings, dynamic_log_probs, gradient_statistics
    from nlpseq.lm.evaluate import text_log_probs
    from nlpseq.lm.generate import beam_search, generate
    from nlpseq.lm.gradients import gradient_flow_in
    from nlpseq.lm.neural_cache import CacheSettings, cache_log_probs

    trained = train(data, device)
    trained.save(tmp_path / "model.lm")
    here, there = (ns.LanguageModel.load(tmp_path / "model.lm") for _ in range(2))
    there.model.to(device)
    stream, settings = Stream(data.split("test")), DynamicSettings(1e-3, 0.02, 20)
    figures = []
    for lm in (here, there):
        statistics = gradient_statistics(lm.model, stream, max_chunks=5)
        figures.append(
            [
                text_log_probs(lm.model, stream),
                cache_log_probs(lm.model, stream, CacheSettings(50, 0.5, 0.2)),
                dynamic_log_probs(lm.model, stream, statistics, settings),
                lm.score("cat dog monday").log_probs,
                np.log(gradient_flow_in(lm.model, stream)[:20]),
            ]
        )
    for mine, theirs in zip(*figures, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-2, atol=1e-3)
    sampling = Sampling(temperature=0.8, top_k=10, top_p=0.95, min_p=0.01, repetition_penalty=1.1)
    texts = [generate(there, "cat", samples=2, length=Length(10), sampling=sampling) for _ in range(2)]
    assert texts[0] == texts[1]
    assert beam_search(there, "cat", beam=3, length=Length(5)).startswith("cat")
