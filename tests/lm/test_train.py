"""Training: it learns, stops as told, and goes on from a checkpoint as if nothing had happened."""

import json
import math
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.results import seal_tree as seal

import nlpseq as ns
from nlpseq.config import LMConfig, TextConfig
from nlpseq.errors import ArtifactError, ConfigError, DataError, RunError
from nlpseq.lm.batches import Stream
from nlpseq.lm.checkpoint import MODEL, TRAINING, Checkpoint
from nlpseq.lm.evaluate import mean_loss
from nlpseq.lm.run import CheckpointConfig, resume_lm, train_lm
from nlpseq.lm.train import Trainer
from nlpseq.training.metrics import read_metrics

SMALL = {
    **{
        "hidden": 16,
        "dim": 12,
        "batch_size": 4,
        "bptt": 7,
        "threads": 1,
        "precision": "fp32",
        "device": "cpu",
    },
    **{"dropout_input": 0.1, "dropout_output": 0.1, "samples": 5},
}


def config(**settings):
    return LMConfig(**SMALL | {"epochs": 2} | settings)


def lines(count, seed=1):
    """Text with a rule: each letter is followed by the next one of the alphabet, round and round."""
    chance = random.Random(seed)
    alphabet = "abcdefghij"
    for _ in range(count):
        first = chance.randrange(10)
        yield " ".join(alphabet[(first + i) % 10] for i in range(chance.randint(1, 12)))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "rule.txt").write_text("\n".join(lines(300)))
    settings = TextConfig(tokenizer="whitespace", min_count=1, valid_share=0.1, test_share=0.1)
    return ns.preprocess(ns.open_corpus(folder / "rule.txt"), settings, folder / "rule.tokens")


def stop_after(steps):
    """A should_stop that asks for a stop at the given steps, in turn."""
    count = 0

    def asked():
        nonlocal count
        count += 1
        return count == steps

    return asked


def without_times(metrics):
    return [{key: value for key, value in each.items() if key != "seconds"} for each in metrics]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_it_learns_a_rule(data, cell):
    model = train_lm(data, config(cell=cell, epochs=30, learning_rate=0.01, softmax="full"))
    entropy = unigram_perplexity(data)
    assert model.perplexity(data.split("test")) < 3 < entropy / 3


def unigram_perplexity(data):
    counts = data.vocab.counts[data.vocab.counts > 0]
    shares = counts / counts.sum()
    return math.exp(-float((shares * np.log(shares)).sum()))


@pytest.mark.parametrize(
    "settings",
    [
        {
            "optimizer": "sgd",
            "learning_rate": 5.0,
            "clip_norm": 0.5,
            "schedule": "plateau",
            "averaging": "none",
        },
        {"optimizer": "adam", "beta1": 0.9, "schedule": "cosine", "learning_rate": 0.01},
        {
            "optimizer": "sgd",
            "learning_rate": 5.0,
            "averaging": "nt-asgd",
            "schedule": "constant",
            "epochs": 40,
        },
        {"softmax": "sampled", "samples": 8, "learning_rate": 0.01},
        {"lengths": "bucketed", "learning_rate": 0.01, "layers": 3, "residual": True, "layer_norm": True},
        {
            "weight_drop": 0.2,
            "ar": 2.0,
            "tar": 1.0,
            "dropout_words": 0.05,
            "learning_rate": 0.01,
            "layers": 2,
        },
        {"tied": False, "init": "orthogonal", "clip_value": 0.1, "learning_rate": 0.01, "weight_decay": 1e-5},
    ],
    ids=lambda settings: "-".join(f"{key}" for key in settings)[:60],
)
def test_every_way_to_train_learns(data, settings):
    model = train_lm(data, config(**{"epochs": 20, "dropout_output": 0.0, "validate_every": 0.05} | settings))
    assert model.perplexity(data.split("test")) < 4.5


def test_the_same_seed_gives_the_same_model_and_another_seed_another(data):
    first, again, other = (train_lm(data, config(seed=seed)) for seed in (1, 1, 2))
    for name, weight in first.model.named_parameters():
        assert torch.equal(weight, again.model.get_parameter(name))
    assert not torch.equal(first.model.embedding.weight, other.model.embedding.weight)


@pytest.mark.parametrize(
    "optimizer, averaging", [("adamw", "ema"), ("adamw", "nt-asgd"), ("adam", "ema"), ("sgd", "nt-asgd")]
)
@pytest.mark.parametrize("stops", [[1], [5, 33, 70], [50, 51, 52]])
def test_a_run_stopped_and_resumed_ends_with_the_same_bytes(data, tmp_path, stops, optimizer, averaging):
    settings = config(averaging=averaging, lengths="bucketed", optimizer=optimizer, weight_drop=0.1)
    whole = CheckpointConfig(path=tmp_path / "whole.lm")
    train_lm(data, settings, folder=whole)
    parts = CheckpointConfig(path=tmp_path / "parts.lm", should_stop=stop_after(stops[0]))
    model = train_lm(data, settings, folder=parts)
    for before, stop in zip(stops, [*stops[1:], 10**9], strict=True):
        assert not model.meta["complete"] and model.meta["position"]["step"] == before
        folder = CheckpointConfig(path=parts.path, should_stop=stop_after(stop - before))
        model = resume_lm(folder, data)
    assert model.meta["complete"]
    assert (parts.path / MODEL).read_bytes() == (whole.path / MODEL).read_bytes()
    assert without_times(read_metrics(parts.path)) == without_times(read_metrics(whole.path))


def test_chunks_of_checkpoints_do_not_change_the_result(data, tmp_path):
    often = CheckpointConfig(path=tmp_path / "often.lm", every=0.0)
    train_lm(data, config(), folder=often)
    seldom = CheckpointConfig(path=tmp_path / "seldom.lm")
    train_lm(data, config(), folder=seldom)
    assert (often.path / MODEL).read_bytes() == (seldom.path / MODEL).read_bytes()


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(data, tmp_path):
    """kill -9, again and again, until the run comes to its end."""
    command = [sys.executable, "-m", "nlpseq", "train-lm", "--checkpoint-every", "0.02s", "-q"]
    settings = ["--epochs", "12", "--hidden", "16", "--dim", "12", "--batch-size", "4", "--bptt", "7"]
    settings += ["--threads", "1", "--precision", "fp32", "--device", "cpu"]
    start = [*command, str(data.path), *settings]
    subprocess.run([*start, "-o", str(tmp_path / "whole.lm")], check=True, stdout=subprocess.DEVNULL)
    path, chance, kills = tmp_path / "killed.lm", random.Random(7), 0
    while not path.exists() or not Checkpoint.load(path).meta["complete"]:
        line = [*command, str(path), "--resume"] if path.exists() else [*start, "-o", str(path)]
        run = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_for_change(path, run)
        time.sleep(chance.uniform(0, 0.5))
        run.send_signal(signal.SIGKILL)
        _, said = run.communicate()
        kills += run.returncode == -signal.SIGKILL
        assert run.returncode in (0, -signal.SIGKILL) and kills < 100, said
    assert kills >= 3
    assert (path / MODEL).read_bytes() == (tmp_path / "whole.lm" / MODEL).read_bytes()
    assert without_times(read_metrics(path)) == without_times(read_metrics(tmp_path / "whole.lm"))


def wait_for_change(path, run):
    """Until the run has written a checkpoint, or has ended."""
    before = path.stat().st_ino if path.exists() else None
    while run.poll() is None and (not path.exists() or path.stat().st_ino == before):
        time.sleep(0.01)


def test_the_process_has_its_own_arithmetic_back(data):
    train_lm(data, config(epochs=1))
    smallest = np.array([5e-324]) * np.array([1.0])
    assert smallest[0] > 0


def test_a_time_budget_is_kept(data, monkeypatch):
    """By a clock of which every look takes a tenth of a second."""
    looks = iter(range(10**9))
    monkeypatch.setattr("nlpseq.lm.train.time.perf_counter", lambda: next(looks) / 10)
    model = train_lm(data, config(epochs=None, time_budget=300.0, dropout_input=None))
    seconds = model.meta["position"]["seconds"]
    assert 300 - 0.05 * 300 < seconds <= 300 + 1, seconds
    rates = [each["learning_rate"] for each in model.metrics if "learning_rate" in each]
    assert rates[0] == pytest.approx(LMConfig().learning_rate) and rates[-1] < 0.3 * rates[0]
    assert model.metrics[-1]["averaged"] and "valid_loss" in model.metrics[-1]


def test_a_resumed_time_budget_counts_on(data, tmp_path):
    settings = config(epochs=None, time_budget=3.0)
    folder = CheckpointConfig(path=tmp_path / "run.lm", should_stop=stop_after(20))
    stopped = train_lm(data, settings, folder=folder)
    used = stopped.meta["position"]["seconds"]
    stored = Checkpoint.load(folder.path).meta["position"]["seconds"]
    assert 0 < stored <= used < 3
    model = resume_lm(CheckpointConfig(path=folder.path), data)
    whole = [each["seconds"] for each in model.metrics]
    assert whole == sorted(whole) and 2 < whole[-1] < 6  # on a busy machine a last validation takes long


def test_of_a_long_validation_text_a_part_is_read(data, monkeypatch):
    monkeypatch.setattr("nlpseq.lm.train.VALID_TOKENS", 40)
    model = train_lm(data, config(epochs=1, averaging="none"))
    found, whole = (
        mean_loss(model.model, Stream(data.split("valid")), 16, "fp32", most) for most in (40, 10**9)
    )
    assert model.meta["position"]["valid_losses"][-1] == pytest.approx(found) != pytest.approx(whole)
    assert model.meta["valid_tokens_read"] == 40


def test_patience_stops_early_and_the_best_is_kept(data):
    model = train_lm(
        data,
        config(
            learning_rate=0.5,
            optimizer="adam",
            schedule="constant",
            epochs=50,
            validate_every=0.02,
            patience=3,
        ),
    )
    losses = model.meta["position"]["valid_losses"]
    assert len(losses) < 50 and min(losses) == losses[-5]  # three worse ones, and the one at the end
    valid = data.split("valid")
    assert math.log(model.perplexity(valid)) == pytest.approx(min(losses), rel=0.05)  # one column, and a few


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_loss_that_is_not_finite_stops_with_the_checkpoint_before_it(data, tmp_path, monkeypatch, when):
    """Weights that turn bad after their step have not spoilt a loss yet, and are still not stored."""
    folder = CheckpointConfig(path=tmp_path / "run.lm", every=0.0)
    real = Trainer.step

    def step(self):
        if when == "after":
            real(self)
        if self.position.step == 25:
            with torch.no_grad():
                self.model.output_bias.fill_(float("nan"))
        if when == "before":
            real(self)

    monkeypatch.setattr(Trainer, "step", step)
    with pytest.raises(RunError, match=r"the loss became nan by step 2\d\. .*--learning-rate below") as error:
        train_lm(data, config(), folder=folder)
    assert "run.lm is as it was at its last checkpoint" in str(error.value)
    kept = Checkpoint.load(folder.path)
    assert 20 <= kept.meta["position"]["step"] <= 25
    assert kept.training is not None and all(each.isfinite().all() for each in kept.training.values())
    with pytest.raises(RunError) as error:
        train_lm(data, config())
    assert "checkpoint" not in str(error.value)


def test_a_training_loss_without_hope_stops_the_run_though_it_is_finite(data):
    with pytest.raises(RunError, match=r"the loss became [0-9.]+ by step 10\. .*--learning-rate below"):
        train_lm(data, config(learning_rate=1e4, optimizer="sgd"))


def test_a_validation_loss_ten_times_that_of_knowing_nothing_ends_a_run(data, monkeypatch):
    limit = 10 * math.log(len(data.vocab))
    bad, fine = 1.001 * limit, 0.999 * limit
    for losses, ends in (((bad,), True), ((math.nan,), True), ((fine,), False), ((fine, bad), False)):
        told = iter(losses)
        monkeypatch.setattr("nlpseq.lm.train.mean_loss", lambda *_, told=told: next(told))
        settings = config(validate_every=1 / len(losses))
        if ends:
            with pytest.raises(RunError, match=r"the loss became .*--learning-rate"):
                train_lm(data, settings)
        else:  # weights that were good before are the result
            position = train_lm(data, settings).meta["position"]
            assert position["valid_losses"] == list(losses) and position["best"] == 0


def test_before_the_first_validation_a_run_has_its_present_weights(data, tmp_path):
    folder = CheckpointConfig(path=tmp_path / "run.lm", should_stop=stop_after(9))
    stopped = train_lm(data, config(), folder=folder)
    assert not stopped.meta["position"]["valid_losses"]
    kept = Checkpoint.load(folder.path)
    for name, weight in stopped.model.named_parameters():
        assert torch.equal(kept.training[f"weights.{name}"], weight)
        assert torch.equal(kept.model[name], weight)


def test_a_new_run_replaces_nothing_unasked(data, tmp_path):
    folder = CheckpointConfig(path=tmp_path / "run.lm")
    train_lm(data, config(epochs=1), folder=folder)
    with pytest.raises(ConfigError, match="already exists"):
        train_lm(data, config(epochs=1), folder=folder)
    train_lm(data, config(epochs=1), folder=replace(folder, force=True))


def test_another_text_than_the_run_was_validated_on_is_refused(data, tmp_path):
    folder = CheckpointConfig(path=tmp_path / "run.lm", should_stop=stop_after(3))
    (tmp_path / "other.txt").write_text("\n".join(lines(30, seed=2)))
    text = ns.open_corpus(tmp_path / "other.txt")
    other = ns.preprocess(text, TextConfig(min_count=1), tmp_path / "other.tokens", vocab=data.vocab)
    train_lm(data, config(), folder=folder)
    with pytest.raises(ArtifactError, match=r"is not the text .* was validated on"):
        resume_lm(CheckpointConfig(path=folder.path), data, valid=other)


def test_the_machine_may_change_when_a_run_goes_on(data, tmp_path):
    folder = CheckpointConfig(path=tmp_path / "run.lm", should_stop=stop_after(3))
    train_lm(data, config(), folder=folder)
    model = resume_lm(CheckpointConfig(path=folder.path), data, changes={"threads": 2})
    assert model.meta["complete"] and model.meta["config"]["threads"] == 2


def test_what_a_probe_chose_is_kept_by_a_resumed_run(data, tmp_path, monkeypatch):
    folder = CheckpointConfig(path=tmp_path / "run.lm", should_stop=stop_after(9))
    settings = config(precision="auto", epochs=None, time_budget=2.0, dropout_output=None)
    train_lm(data, settings, folder=folder)
    stored = json.loads((folder.path / "meta.json").read_text())
    assert 0 < stored["config"]["dropout_output"] <= 0.5 and stored["facts"]["expected_passes"] > 1
    monkeypatch.setattr(Trainer, "probe", lambda self: pytest.fail("probed again"))
    model = resume_lm(CheckpointConfig(path=folder.path), data)
    assert model.meta["precision"] == stored["precision"] and model.meta["config"] == stored["config"]


def test_with_epochs_the_rates_left_open_do_not_depend_on_the_machine(data):
    model = train_lm(data, config(epochs=3, dropout_input=None))
    assert model.config.dropout_input == model.model.config.dropout_input == 0.2
    assert model.meta["config"]["dropout_input"] == 0.2 and model.meta["facts"]["expected_passes"] == 3


def test_word_vectors_become_embeddings(data, tmp_path):
    words = data.vocab.words[: data.vocab.num_words]
    matrix = np.random.default_rng(1).normal(size=(3, 12)).astype(np.float32)
    vectors = ns.Vectors(ns.Vocab([words[0], "elsewhere", words[2]], np.ones(3)), matrix)
    model = train_lm(data, config(epochs=1, learning_rate=0.0), vectors=vectors)
    embedding = model.model.embedding.weight.detach().numpy()
    for row, word_id in ((0, 0), (2, 2)):
        assert np.corrcoef(matrix[row], embedding[word_id])[0, 1] == pytest.approx(1, abs=1e-5)
    assert model.meta["facts"]["vectors_cover_words"] == pytest.approx(2 / len(data.vocab))
    with pytest.raises(ConfigError, match="the vectors have 12 dimensions and the embedding 5"):
        train_lm(data, config(dim=5), vectors=vectors)


def test_other_text_than_the_run_was_trained_on_is_refused(data, tmp_path):
    folder = CheckpointConfig(path=tmp_path / "run.lm", should_stop=stop_after(3))
    train_lm(data, config(), folder=folder)
    (tmp_path / "other.txt").write_text("\n".join(lines(300, seed=2)))
    other = ns.preprocess(ns.open_corpus(tmp_path / "other.txt"), data.config, tmp_path / "other.tokens")
    with pytest.raises(ArtifactError, match=r"is not the text .* was trained on"):
        resume_lm(CheckpointConfig(path=folder.path), other)


@pytest.fixture(scope="module")
def half_a_run(data, tmp_path_factory):
    """Stopped at step 35, with one validation behind it."""
    folder = CheckpointConfig(path=tmp_path_factory.mktemp("stopped") / "run.lm", should_stop=stop_after(35))
    model = train_lm(data, config(validate_every=0.2), folder=folder)
    assert len(model.meta["position"]["valid_losses"]) == 1
    return folder.path


@pytest.fixture
def stopped(half_a_run, tmp_path):
    return shutil.copytree(half_a_run, tmp_path / "run.lm")


FORGED = [
    *({"row": row} for row in (-5, 0.5, "x", None, True, 10**9)),
    *({"tokens": tokens} for tokens in (math.inf, math.nan, -1, 0, 10**12, 10**400)),
    *({"step": step} for step in (0.5, -1, 10**6)),
    *({"epoch": epoch} for epoch in (0.5, 2, 10**6, [])),
    *({"valid_losses": losses} for losses in (["a"], [math.nan], [1.0] * 100, "x", None)),
    *({"best": best} for best in (1, 10**6, -1, 0.5)),
    *({"loss_steps": steps} for steps in (0.5, -1, 10**6)),
    *({"rate_scale": scale} for scale in ("x", math.nan, 2, -1)),
    *({"valid_done": done} for done in (math.inf, 10**6, None)),
    {"seconds": math.nan},
    {"valid_seconds": math.inf},
]


@pytest.mark.parametrize("forged", FORGED, ids=lambda forged: str(forged)[:40])
def test_a_forged_position_is_refused(data, stopped, forged):
    refuse(data, stopped, {"position": forged}, next(iter(forged)))


@pytest.mark.parametrize("precision", ["foo", None, "auto", []])
def test_a_precision_there_is_none_of_is_refused(data, stopped, precision):
    refuse(data, stopped, {"precision": precision}, "precision")


@pytest.mark.parametrize(
    "facts",
    [
        None,
        {},
        {"expected_passes": 1.0},
        {"precision_reason": 5, "expected_passes": 1.0},
        {"precision_reason": "so", "expected_passes": math.nan},
        {"precision_reason": "so", "expected_passes": 1.0, "vectors_cover_words": 0.5},
    ],
)
def test_facts_that_cannot_be_are_refused(data, stopped, facts):
    refuse(data, stopped, {"facts": facts}, "facts|expected_passes|vectors_cover_text")


def test_a_run_without_an_end_is_refused(data, stopped):
    refuse(data, stopped, {"config": {"epochs": None, "time_budget": None}}, "epochs")


def refuse(data, run, forged, field):
    """Its meta.json with other fields is refused by name, with a way out."""
    meta = json.loads((run / "meta.json").read_text())
    for name, value in forged.items():
        is_part = isinstance(value, dict) and name != "facts"
        meta[name] = meta[name] | value if is_part else value
    (run / "meta.json").write_text(json.dumps(meta))
    seal(run)
    with pytest.raises(ArtifactError, match=rf"meta\.json is not valid \(.*({field}).*\. Train anew\."):
        resume_lm(CheckpointConfig(path=run), data)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (MODEL, {"output_bias": float("nan")}, r"numbers in output_bias that are not finite\. Copy"),
        (TRAINING, {"average.0": float("inf")}, r"numbers in average\.0 that are not finite\. Copy"),
        (TRAINING, {"optimizer.1.exp_avg": None}, r"see 1\.exp_avg of the optimizer"),
        (TRAINING, {"state.0.0": torch.zeros(1, 3, 3)}, "does not fit"),
        (TRAINING, {"average_updates": torch.tensor(-1)}, "average_updates is -1"),
        (TRAINING, {"average.0": torch.zeros(2, dtype=torch.float16)}, r"average\.0 as torch\.float16"),
        (MODEL, {"output_bias": None, "other_bias": torch.zeros(12)}, "does not fit"),
    ],
)
def test_forged_tensors_are_refused(data, stopped, name, change, message):
    tensors = load_file(stopped / name)
    for key, value in change.items():
        if isinstance(value, float):
            tensors[key].view(-1)[0] = value
        elif value is None:
            del tensors[key]
        else:
            tensors[key] = value
    save_file(tensors, stopped / name)
    seal(stopped)
    with pytest.raises(ArtifactError, match=rf"{name} .*{message}"):
        resume_lm(CheckpointConfig(path=stopped), data)


def test_a_course_without_perplexities_is_refused(data, stopped):
    (stopped / "metrics.jsonl").write_text('{"step": 1, "valid_loss": 2.0, "valid_perplexity": "x"}\n')
    seal(stopped)
    with pytest.raises(ArtifactError, match=r"metrics\.jsonl, line \d+, is no measurement"):
        resume_lm(CheckpointConfig(path=stopped), data)


def test_weights_that_are_not_finite_are_refused(data, tmp_path):
    model = train_lm(data, config(epochs=1))
    with torch.no_grad():
        model.model.output_bias[0] = math.nan
    model.save(tmp_path / "bad.lm")
    with pytest.raises(
        ArtifactError, match=r"model\.safetensors has numbers in output_bias that are not finite"
    ):
        ns.LanguageModel.load(tmp_path / "bad.lm")


def test_a_complete_run_is_not_resumed(data, tmp_path):
    folder = CheckpointConfig(path=tmp_path / "run.lm")
    train_lm(data, config(epochs=1), folder=folder)
    with pytest.raises(ConfigError, match="is complete"):
        resume_lm(folder, data)


def test_too_little_text_for_the_columns(data):
    with pytest.raises(DataError, match=r"and 2000 columns need at least 4,000\. Give more text"):
        train_lm(data, config(batch_size=2000))


def test_a_saved_model_is_the_same_model(data, tmp_path):
    model = train_lm(data, config(epochs=1))
    model.save(tmp_path / "a.lm")
    again = ns.LanguageModel.load(tmp_path / "a.lm")
    assert again.perplexity(data.split("test")) == model.perplexity(data.split("test"))
    assert again.metrics == model.metrics
    again.save(tmp_path / "b.lm")
    assert (tmp_path / "a.lm" / MODEL).read_bytes() == (tmp_path / "b.lm" / MODEL).read_bytes()
