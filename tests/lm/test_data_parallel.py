"""Parts of a batch: the gradient of the whole, the same bytes for any number of workers and any stop."""

from contextlib import closing
from pathlib import Path

import pytest
import torch

import nlpseq as ns
from nlpseq.config import LMConfig, TextConfig
from nlpseq.core.tasks import ThreadTasks
from nlpseq.errors import ConfigError
from nlpseq.lm.checkpoint import MODEL
from nlpseq.lm.data_parallel import ParallelTrainer
from nlpseq.lm.language_model import LanguageModel
from nlpseq.lm.train import resolve, resume_lm, train_lm
from nlpseq.lm.trainer import Trainer
from nlpseq.training.checkpoint import CheckpointConfig

PLAIN = LMConfig(
    hidden=16,
    dim=12,
    batch_size=6,
    bptt=7,
    epochs=2,
    threads=1,
    precision="fp32",
    device="cpu",
    softmax="full",
    ar=0.5,
    tar=0.5,
    dropout_input=0.0,
    dropout_output=0.0,
    weight_drop=0.0,
)
RANDOM = {"dropout_input": 0.1, "dropout_output": 0.2, "weight_drop": 0.1, "softmax": "sampled", "samples": 5}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ns.TokenDataset:
    folder = tmp_path_factory.mktemp("data")
    (folder / "rule.txt").write_text("".join(f"{'abcdefgh'[n % 8 :]}{n % 5}\n" for n in range(900)))
    settings = TextConfig(tokenizer="char", min_count=1, valid_share=0.1, test_share=0.1)
    return ns.preprocess(folder / "rule.txt", settings, folder / "rule.tokens")


def changed(**settings: object) -> LMConfig:
    return resolve(LMConfig(**{**PLAIN.__dict__, **settings}))


def weights_of(model: LanguageModel) -> list[bytes]:
    return [each.detach().numpy().tobytes() for each in model.model.parameters()]


@pytest.mark.parametrize("parts", [1, 4, 6])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_mean_gradient_of_parts_is_the_gradient_of_the_batch(
    data: ns.TokenDataset, cell: str, parts: int
) -> None:
    texts, config = (data.split("train"), data.split("valid")), changed(cell=cell, parts=parts)
    with closing(ThreadTasks(2)) as tasks:
        ours, whole = ParallelTrainer(*texts, config, tasks), Trainer(*texts, config)
        for _ in range(3):
            for trainer in (ours, whole):
                trainer.train_chunk()
            assert float(ours.loss_sum) == pytest.approx(float(whole.loss_sum), abs=1e-5)
            for one, other in zip(ours.parameters, whole.parameters, strict=True):
                assert one.grad is not None and other.grad is not None
                torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6)
            for one, other in zip(ours.carried, whole.carried, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_number_of_workers_changes_no_bit(data: ns.TokenDataset) -> None:
    found = []
    for workers in (1, 2, 4):
        with closing(ThreadTasks(workers)) as tasks:
            found.append(train_lm(data, changed(parts=3, **RANDOM), tasks=tasks))
    assert weights_of(found[0]) == weights_of(found[1]) == weights_of(found[2])
    other = train_lm(data, changed(parts=2, **RANDOM))
    assert weights_of(other) != weights_of(found[0]), "the parts change it"
    assert other.meta["config"]["parts"] == 2


def test_parts_learn_as_well_as_the_whole(data: ns.TokenDataset) -> None:
    settings = {"epochs": 12, "dropout_input": 0.1, "dropout_output": 0.1, "learning_rate": 0.01}
    whole, parts = (train_lm(data, changed(parts=parts, **settings)) for parts in (None, 3))
    losses = [model.perplexity(data.split("test")) for model in (whole, parts)]
    assert losses[1] < 1.1 * losses[0] and losses[0] < 2.5, losses


def test_stopped_run_goes_on_with_other_workers(data: ns.TokenDataset, tmp_path: Path) -> None:
    config, path = changed(parts=3, **RANDOM), tmp_path / "parts.lm"
    whole = CheckpointConfig(path=tmp_path / "whole.lm")
    train_lm(data, config, checkpoint=whole)
    asked = iter([False] * 9 + [True] + [False] * 20 + [True] + [False] * 10**6)
    checkpoint = CheckpointConfig(path=path, should_stop=lambda: next(asked))
    model, stops = train_lm(data, config, checkpoint=checkpoint), 0
    while not model.meta["complete"]:
        stops += 1
        with closing(ThreadTasks(1 + stops)) as tasks:
            model = resume_lm(checkpoint, data, tasks=tasks)
    assert stops == 2
    assert (path / MODEL).read_bytes() == (whole.path / MODEL).read_bytes()


def test_parts_fit_the_batch_and_the_processor(data: ns.TokenDataset) -> None:
    with pytest.raises(ConfigError, match=r"parts.*at most 6, the columns"):
        changed(parts=7)
    with pytest.raises(ConfigError, match=r"device: .* must be cpu with parts or on a cluster"):
        changed(parts=2, device="cuda")
