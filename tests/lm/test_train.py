"""train_lm: learning, stopping and resuming of the language model."""

import json
import math
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.results import seal_tree as seal
from support.runs import count_saves

import nlpseq as ns
from nlpseq.config import LMConfig, Ngrams, TextConfig
from nlpseq.dataset.vocab import SPECIALS
from nlpseq.errors import ArtifactError, ConfigError, DataError, RunError
from nlpseq.lm import trainer as trainer_module
from nlpseq.lm.batches import Stream
from nlpseq.lm.card import model_card
from nlpseq.lm.checkpoint import MODEL, TRAINING, Checkpoint
from nlpseq.lm.evaluate import mean_loss
from nlpseq.lm.state import load_state, seconds_of_pass
from nlpseq.lm.train import find_initial_vectors, resolve, resume_lm, train_lm
from nlpseq.lm.trainer import Trainer
from nlpseq.training import runner
from nlpseq.training.checkpoint import CheckpointConfig
from nlpseq.training.metrics import read_metrics
from nlpseq.vectors.subwords import SubwordVectors

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
    """Yield text with a rule: each letter is followed by the next letter of the alphabet, cyclically."""
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
    """Return a should_stop for one stop, after a number of steps."""
    count = 0

    def asked():
        nonlocal count
        count += 1
        return count == steps

    return asked


def without_times(metrics):
    return [{key: value for key, value in each.items() if key != "seconds"} for each in metrics]


@pytest.mark.parametrize(
    "cell", ["lstm", *(pytest.param(cell, marks=pytest.mark.slow) for cell in ("gru", "rnn"))]
)
def test_train_lm_learns_rule(data, cell):
    model = train_lm(data, config(cell=cell, epochs=16, learning_rate=0.01, softmax="full"))
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
        pytest.param(
            {
                **{"optimizer": "adam", "beta1": 0.9, "schedule": "cosine", "learning_rate": 0.01},
                **{"tied": False, "init": "orthogonal", "clip_value": 0.1},
            },
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {
                "optimizer": "sgd",
                "learning_rate": 5.0,
                "averaging": "nt-asgd",
                "schedule": "constant",
                "epochs": 20,
            },
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {
                **{"softmax": "sampled", "samples": 8, "lengths": "bucketed", "learning_rate": 0.01},
                **{"layers": 3, "residual": True, "layer_norm": True},
            },
            marks=pytest.mark.slow,
        ),
        {
            "weight_drop": 0.2,
            "ar": 2.0,
            "tar": 1.0,
            "dropout_words": 0.05,
            "learning_rate": 0.01,
            "layers": 2,
            "weight_decay": 1e-5,
        },
    ],
    ids=lambda settings: "-".join(f"{key}" for key in settings)[:60],
)
def test_every_optimizer_and_option_learns(data, settings):
    model = train_lm(data, config(**{"epochs": 12, "dropout_output": 0.0, "validate_every": 0.25} | settings))
    assert model.perplexity(data.split("test")) < 4.5


def test_same_seed_gives_same_model(data):
    first, again, other = (train_lm(data, config(seed=seed)) for seed in (1, 1, 2))
    for name, weight in first.model.named_parameters():
        assert torch.equal(weight, again.model.get_parameter(name))
    assert not torch.equal(first.model.embedding.weight, other.model.embedding.weight)


@pytest.mark.parametrize(
    ("optimizer", "averaging", "stops"),
    [
        ("adamw", "ema", [5, 33, 70]),
        ("adamw", "nt-asgd", [1]),
        ("adamw", "nt-asgd", [50, 51, 52]),
        ("adam", "ema", [50, 51, 110]),
        ("sgd", "nt-asgd", [5, 33, 70]),
        ("sgd", "nt-asgd", [1]),
    ],
)
def test_resume_lm_after_stops_gives_same_bytes(data, tmp_path, stops, optimizer, averaging):
    settings = config(averaging=averaging, lengths="bucketed", optimizer=optimizer, weight_drop=0.1)
    whole = CheckpointConfig(path=tmp_path / "whole.lm")
    train_lm(data, settings, checkpoint=whole)
    parts = CheckpointConfig(path=tmp_path / "parts.lm", should_stop=stop_after(stops[0]))
    model = train_lm(data, settings, checkpoint=parts)
    for before, stop in zip(stops, [*stops[1:], 10**9], strict=True):
        assert not model.meta["complete"] and model.meta["position"]["step"] == before
        stop = CheckpointConfig(path=parts.path, should_stop=stop_after(stop - before))
        model = resume_lm(stop, data)
    assert model.meta["complete"]
    assert (parts.path / MODEL).read_bytes() == (whole.path / MODEL).read_bytes()
    assert without_times(read_metrics(parts.path)) == without_times(read_metrics(whole.path))


@pytest.mark.slow
def test_checkpoints_do_not_change_lm(data, tmp_path, monkeypatch):
    saves = count_saves(monkeypatch)
    often = CheckpointConfig(path=tmp_path / "often.lm", every=0.0)
    train_lm(data, config(), checkpoint=often)
    assert len(saves) >= 2
    seldom = CheckpointConfig(path=tmp_path / "seldom.lm")
    train_lm(data, config(), checkpoint=seldom)
    assert (often.path / MODEL).read_bytes() == (seldom.path / MODEL).read_bytes()


@pytest.mark.slow
def test_resume_lm_after_kills_gives_same_bytes(data, tmp_path):
    """Kill the process by SIGKILL again and again, until training is complete."""
    command = [sys.executable, "-m", "nlpseq", "train-lm", "--checkpoint-every", "0.02s", "-q"]
    settings = ["--epochs", "12", "--hidden", "16", "--dim", "12", "--batch-size", "4", "--bptt", "7"]
    settings += ["--threads", "1", "--precision", "fp32", "--device", "cpu"]
    start = [*command, str(data.path), *settings]
    subprocess.run([*start, "-o", str(tmp_path / "whole.lm")], check=True, stdout=subprocess.DEVNULL)
    path, chance, kills = tmp_path / "killed.lm", random.Random(7), 0
    checkpoint = path / "checkpoint"
    while not (path / MODEL).exists():
        line = [*command, str(path), "--resume"] if checkpoint.exists() else [*start, "-o", str(path)]
        run = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_for_change(checkpoint, run)
        time.sleep(chance.uniform(0, 0.5))
        run.send_signal(signal.SIGKILL)
        _, said = run.communicate()
        kills += run.returncode == -signal.SIGKILL
        assert run.returncode in (0, -signal.SIGKILL) and kills < 100, said
    assert kills >= 3
    assert (path / MODEL).read_bytes() == (tmp_path / "whole.lm" / MODEL).read_bytes()
    assert without_times(read_metrics(path)) == without_times(read_metrics(tmp_path / "whole.lm"))


def wait_for_change(path, run):
    """Wait until the run has written a checkpoint, or has ended."""
    before = path.stat().st_ino if path.exists() else None
    while run.poll() is None and (not path.exists() or path.stat().st_ino == before):
        time.sleep(0.01)


def test_training_restores_denormal_numbers(data):
    train_lm(data, config(epochs=1))
    smallest = np.array([5e-324]) * np.array([1.0])
    assert smallest[0] > 0


def trainer_with_budget(data, clock, seconds):
    settings = resolve(config(epochs=None, time_budget=seconds, dropout_input=None))
    trainer = Trainer(data.split("train"), data.split("valid"), settings, clock=clock)
    trainer.probe_results = trainer.probe()
    return trainer


@pytest.fixture
def clock():
    """Return a clock with 0.2 s between looks."""
    looks = iter(range(10**9))
    return lambda: next(looks) / 5


def test_time_budget_is_kept(data, clock):
    trainer = trainer_with_budget(data, clock, 300.0)
    assert runner.run(trainer, clock=clock)
    seconds = trainer.state.seconds
    assert 300 - 0.05 * 300 < seconds <= 300 + 1, seconds
    rates = [each["learning_rate"] for each in trainer.metrics if "learning_rate" in each]
    assert rates[0] == pytest.approx(LMConfig().learning_rate) and rates[-1] < 0.3 * rates[0]
    assert trainer.metrics[-1]["averaged"] and "valid_loss" in trainer.metrics[-1]


@pytest.mark.parametrize("budget", [3.0, 8.0])
def test_advised_time_budget_reads_the_text_once(data, clock, budget):
    short = trainer_with_budget(data, clock, budget)
    assert runner.run(short, clock=clock)
    train_tokens = short.describe()["train_tokens"]
    assert short.state.tokens < 0.7 * train_tokens
    advised = seconds_of_pass(asdict(short.state), train_tokens)
    longer = trainer_with_budget(data, clock, advised)
    assert runner.run(longer, clock=clock)
    assert 0.9 < longer.state.tokens / train_tokens < 1.3


def test_resumed_run_keeps_used_time_budget(data, tmp_path, clock):
    stop = CheckpointConfig(path=tmp_path / "run.lm", should_stop=stop_after(50))
    assert not runner.run(trainer_with_budget(data, clock, 60.0), stop, clock=clock)
    stored = Checkpoint.load(stop.path / "checkpoint")
    used = stored.meta["position"]["seconds"]
    assert 5 < used < 20
    resumed = trainer_with_budget(data, clock, 60.0)
    load_state(resumed, stop.path / "checkpoint", stored)
    started = clock()
    assert runner.run(resumed, clock=clock)
    assert clock() - started <= 60 - used + 1
    whole = [each["seconds"] for each in resumed.metrics]
    assert whole == sorted(whole) and 60 - 0.05 * 60 < whole[-1] <= 60 + 1


def test_training_starts_at_frequencies_of_entries(data):
    trainer = Trainer(data.split("train"), data.split("valid"), resolve(config()))
    counts_V = torch.from_numpy(data.vocab.counts).clamp_min(1).float()
    assert (data.vocab.counts < 1).any()  # taken as 1
    torch.testing.assert_close(torch.softmax(trainer.model.output_bias, 0), counts_V / counts_V.sum())


def test_model_of_text_with_a_start_has_counts_of_the_text(tmp_path):
    start = ns.Vocab(["b", "gone"], np.array([-1, 10**6]))
    settings = TextConfig(tokenizer="whitespace", min_count=1, max_vocab=5, valid_share=0.1)
    data = ns.preprocess(["\n".join(lines(300))], settings, tmp_path / "new.tokens", start=start)
    trainer = Trainer(data.split("train"), data.split("valid"), resolve(config()))
    counts_V = torch.from_numpy(data.counts).double().clamp_min(1)
    shares_V = torch.softmax(trainer.model.output_bias.double(), 0)
    torch.testing.assert_close(shares_V, counts_V / counts_V.sum(), atol=1e-6, rtol=1e-4)
    tokens = data.tokens[: data.split("train").num_tokens]
    unk_share = float((tokens == data.vocab.num_words).mean())
    assert 0.1 < unk_share < 0.9
    assert trainer.describe()["unk_share"] == pytest.approx(unk_share)
    trainer.probe()  # chooses the dropout
    card = model_card(trainer.describe(), data.vocab, [])
    assert f"| unknown | {unk_share:.2%} of the training text is <unk> |" in card


def test_long_validation_text_is_read_in_part(data):
    settings, valid = resolve(config(epochs=1, averaging="none")), data.split("valid")
    trainer = Trainer(data.split("train"), valid, settings, max_valid_tokens=40)
    trainer.probe()
    assert runner.run(trainer)
    found, whole = (mean_loss(trainer.model, Stream(valid), 16, "fp32", size) for size in (40, 10**9))
    assert trainer.state.valid_losses[-1] == pytest.approx(found) != pytest.approx(whole)
    assert trainer.describe()["valid_tokens_read"] == 40


def test_patience_stops_early_and_keeps_best(data):
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
    assert len(losses) < 50 and min(losses) == losses[-5]  # three worse losses, then the last
    valid = data.split("valid")
    assert math.log(model.perplexity(valid)) == pytest.approx(min(losses), rel=0.05)  # because columns differ


@pytest.mark.parametrize("when", ["before", "after"])
def test_nan_weights_are_never_saved(data, tmp_path, monkeypatch, when):
    """Refuse weights with NaN before any loss shows them."""
    stop = CheckpointConfig(path=tmp_path / "run.lm", every=0.0)
    real = Trainer.train_chunk

    def train_chunk(self):
        if when == "after":
            real(self)
        if self.state.step == 25:
            with torch.no_grad():
                self.model.output_bias.fill_(float("nan"))
        if when == "before":
            real(self)

    monkeypatch.setattr(Trainer, "train_chunk", train_chunk)
    with pytest.raises(RunError, match=r"the loss became nan by step 2\d, .*--learning-rate") as error:
        train_lm(data, config(), checkpoint=stop)
    assert "The last checkpoint is in" in str(error.value)
    kept = Checkpoint.load(stop.path / "checkpoint")
    assert 20 <= kept.meta["position"]["step"] <= 25
    assert kept.training is not None and all(each.isfinite().all() for each in kept.training.values())
    with pytest.raises(RunError) as error:
        train_lm(data, config())
    assert "checkpoint" not in str(error.value)


def test_diverged_finite_loss_stops_run(data):
    with pytest.raises(RunError, match=r"the loss became [0-9.]+ by step 10, .*--learning-rate"):
        train_lm(data, config(learning_rate=1e4, optimizer="sgd"))


@pytest.mark.slow
def test_diverged_first_validation_stops_run(data, monkeypatch):
    limit = 10 * math.log(len(data.vocab))
    bad, fine = 1.001 * limit, 0.999 * limit
    for losses, ends in (((bad,), True), ((math.nan,), True), ((fine,), False), ((fine, bad), False)):
        told = iter(losses)
        monkeypatch.setattr(trainer_module, "mean_loss", lambda *_, told=told: next(told))
        settings = config(validate_every=1 / len(losses))
        if ends:
            with pytest.raises(RunError, match=r"the loss became .*--learning-rate"):
                train_lm(data, settings)
        else:  # earlier weights are the result
            position = train_lm(data, settings).meta["position"]
            assert position["valid_losses"] == list(losses) and position["best"] == 0


def test_checkpoint_without_validation_has_present_weights(data, tmp_path):
    stop = CheckpointConfig(path=tmp_path / "run.lm", should_stop=stop_after(9))
    stopped = train_lm(data, config(), checkpoint=stop)
    assert not stopped.meta["position"]["valid_losses"]
    kept = Checkpoint.load(stop.path / "checkpoint")
    for name, weight in stopped.model.named_parameters():
        assert torch.equal(kept.training[f"weights.{name}"], weight)
        assert torch.equal(kept.model[name], weight)


def test_new_run_needs_force_to_overwrite(data, tmp_path):
    stop = CheckpointConfig(path=tmp_path / "run.lm")
    train_lm(data, config(epochs=1), checkpoint=stop)
    with pytest.raises(ConfigError, match="already exists"):
        train_lm(data, config(epochs=1), checkpoint=stop)
    train_lm(data, config(epochs=1), checkpoint=replace(stop, force=True))


def test_resume_lm_refuses_other_validation_text(data, tmp_path):
    stop = CheckpointConfig(path=tmp_path / "run.lm", should_stop=stop_after(3))
    (tmp_path / "other.txt").write_text("\n".join(lines(30, seed=2)))
    text = ns.open_corpus(tmp_path / "other.txt")
    other = ns.preprocess(text, TextConfig(min_count=1), tmp_path / "other.tokens", vocab=data.vocab)
    train_lm(data, config(), checkpoint=stop)
    with pytest.raises(ArtifactError, match=r"was validated on another text than"):
        resume_lm(CheckpointConfig(path=stop.path), data, valid=other)


@pytest.mark.slow
def test_resume_lm_accepts_other_threads(data, tmp_path):
    stop = CheckpointConfig(path=tmp_path / "run.lm", should_stop=stop_after(3))
    train_lm(data, config(), checkpoint=stop)
    model = resume_lm(CheckpointConfig(path=stop.path), data, changes={"threads": 2})
    assert model.meta["complete"] and model.meta["config"]["threads"] == 2


def test_resume_lm_keeps_probe_results(data, tmp_path, monkeypatch):
    stop = CheckpointConfig(path=tmp_path / "run.lm", should_stop=stop_after(9))
    settings = config(precision="auto", epochs=None, time_budget=300.0, dropout_output=None)
    train_lm(data, settings, checkpoint=stop)
    stored = json.loads((stop.path / "checkpoint" / "meta.json").read_text())
    assert 0 < stored["config"]["dropout_output"] <= 0.5 and stored["facts"]["expected_passes"] > 1
    monkeypatch.setattr(Trainer, "probe", lambda self: pytest.fail("probed again"))
    model = resume_lm(CheckpointConfig(path=stop.path, should_stop=stop_after(9)), data)
    assert model.meta["precision"] == stored["precision"] and model.meta["config"] == stored["config"]


def test_resume_lm_stores_reason_of_new_precision(data, tmp_path):
    stop = CheckpointConfig(path=tmp_path / "run.lm", should_stop=stop_after(3))
    train_lm(data, config(precision="auto"), checkpoint=stop)
    resume = CheckpointConfig(path=stop.path, should_stop=stop_after(1))
    reasons = [
        resume_lm(resume, data, changes=changes).meta["facts"]["precision_reason"]
        for changes in ({"threads": 2}, {"precision": "fp32"})
    ]
    assert reasons[0].startswith("bf16 ") and reasons[1] == "fp32 was requested"


def test_epochs_fix_open_dropout_rates(data):
    model = train_lm(data, config(epochs=3, dropout_input=None))
    assert model.config.dropout_input == model.model.config.dropout_input == 0.2
    assert model.meta["config"]["dropout_input"] == 0.2 and model.meta["facts"]["expected_passes"] == 3


def test_vectors_start_embeddings(data, tmp_path):
    words = data.vocab.words[: data.vocab.num_words]
    matrix = np.random.default_rng(1).normal(size=(3, 12)).astype(np.float32)
    vectors = ns.Vectors(ns.Vocab([words[0], "elsewhere", words[2]], np.ones(3)), matrix)
    model = train_lm(data, config(epochs=1, learning_rate=1e-9), vectors=vectors)
    embedding = model.model.embedding.weight.detach().numpy()
    scale = 0.1 / 3**0.5 / np.std(matrix)
    for row, word_id in ((0, 0), (2, 2)):
        np.testing.assert_allclose(embedding[word_id], matrix[row] * scale, atol=1e-5)
    assert model.meta["facts"]["vectors_cover_words"] == pytest.approx(2 / len(data.vocab))
    with pytest.raises(ConfigError, match="vectors: have 12 dimensions and the embedding has 5"):
        train_lm(data, config(dim=5), vectors=vectors)


def test_share_of_text_with_vectors_counts_the_text_itself(data, tmp_path):
    (tmp_path / "a.txt").write_text(f"{data.vocab.words[0]} {data.vocab.words[1]} .\n" * 100)
    corpus, text = ns.open_corpus(tmp_path / "a.txt"), TextConfig(valid_share=0.1)
    other = ns.preprocess(corpus, text, tmp_path / "o.tokens", vocab=data.vocab)
    vectors = ns.Vectors(ns.Vocab(data.vocab.words[:2], np.ones(2)), np.eye(2, 12, dtype=np.float32))
    facts = train_lm(other, config(epochs=1), vectors=vectors).meta["facts"]
    counts = other.counts
    assert facts["vectors_cover_text"] == pytest.approx(counts[:2].sum() / counts.sum(), abs=1e-9)
    assert 0.4 < facts["vectors_cover_text"] < 0.7  # of 3 words and the end of each line


def test_unseen_words_start_from_their_ngrams(data):
    words = data.vocab.words[: data.vocab.num_words]
    draw = np.random.default_rng(1).normal
    subwords = SubwordVectors(draw(size=(40, 12)).astype(np.float32), Ngrams(3, 5))
    vectors = ns.Vectors(ns.Vocab(words[:1], np.ones(1)), draw(size=(1, 12)), subwords=subwords)
    trained = config(epochs=1, learning_rate=1e-9)
    model = train_lm(data, trained, vectors=vectors)
    embedding = model.model.embedding.weight.detach().numpy()
    for word_id, word in enumerate(words[:3]):
        wanted = vectors[word]
        assert np.corrcoef(wanted, embedding[word_id])[0, 1] == pytest.approx(1, abs=1e-5)
    num_words = len(words)
    facts = model.meta["facts"]
    assert facts["vectors_cover_words"] == pytest.approx(num_words / len(data.vocab))  # without specials
    assert facts["vectors_from_subwords"] == pytest.approx((num_words - 1) / len(data.vocab))
    without = train_lm(data, trained, vectors=vectors.without_subwords()).meta["facts"]
    assert "vectors_from_subwords" not in without


def test_unseen_words_are_read_as_the_tokenizer_of_the_vectors(data):
    draw = np.random.default_rng(1).normal
    subwords = SubwordVectors(draw(size=(40, 12)).astype(np.float32), Ngrams(3, 5))
    meta = {"text_config": {"tokenizer": "word", "lower": True, "normalize": "NFC", "punctuation": False}}
    vectors = ns.Vectors(ns.Vocab(["elsewhere"], np.ones(1)), draw(size=(1, 12)), None, meta, subwords)
    vocab = ns.Vocab([*data.vocab.words[:1], "Kings", ",", *SPECIALS], np.ones(5), 2)
    found = find_initial_vectors(vectors, vocab)
    assert [each and each.word for each in found] == [vocab.words[0], "kings", None, None, None]


def test_vectors_without_ngrams_need_no_tokenizer(monkeypatch):
    """A word is looked up as written and in lower case; another tokenizer may not be installed."""
    monkeypatch.setattr("nlpseq.vectors.vectors.normalize_and_tokenize", lambda *_: pytest.fail("tokenized"))
    meta = {"text_config": {"tokenizer": "kiwi"}}
    vectors = ns.Vectors(ns.Vocab(["cat"], np.ones(1)), np.ones((1, 12), np.float32), meta=meta)
    found = find_initial_vectors(vectors, ns.Vocab(["Cat", "cat,", *SPECIALS], np.ones(4), 2))
    assert [each and each.word for each in found] == ["cat", None, None, None]


def test_words_without_trained_vector_do_not_start_from_zeros(data):
    words, draw = data.vocab.words[:2], np.random.default_rng(1).normal
    matrix = np.stack([draw(size=12), np.zeros(12)]).astype(np.float32)
    subwords = SubwordVectors(draw(size=(40, 12)).astype(np.float32), Ngrams(3, 5))
    vectors = ns.Vectors(ns.Vocab(words, np.ones(2)), matrix, subwords=subwords)
    trained = config(epochs=1, learning_rate=1e-9)
    model = train_lm(data, trained, vectors=vectors)
    embedding = model.model.embedding.weight.detach().numpy()
    assert np.corrcoef(subwords.vectors(words)[1], embedding[1])[0, 1] == pytest.approx(1, abs=1e-5)
    model = train_lm(data, trained, vectors=vectors.without_subwords())
    assert model.model.embedding.weight[1].any()
    assert model.meta["facts"]["vectors_cover_words"] == pytest.approx(1 / len(data.vocab))


def test_tokens_of_bpe_start_without_ngrams(tmp_path):
    (tmp_path / "a.txt").write_text("the king and the queen\n" * 200)
    settings = TextConfig(tokenizer="bpe", vocab_size=300, valid_share=0.1)
    data = ns.preprocess(ns.open_corpus(tmp_path / "a.txt"), settings, tmp_path / "a.tokens")
    draw = np.random.default_rng(1).normal
    subwords = SubwordVectors(draw(size=(40, 12)).astype(np.float32), Ngrams(3, 5))
    vectors = ns.Vectors(ns.Vocab(["t", "elsewhere"], np.ones(2)), draw(size=(2, 12)), subwords=subwords)
    facts = train_lm(data, config(epochs=1, learning_rate=1e-9), vectors=vectors).meta["facts"]
    assert facts["vectors_cover_words"] == pytest.approx(2 / len(data.vocab))  # t and T
    assert "vectors_from_subwords" not in facts


def test_resume_lm_refuses_other_text(data, tmp_path):
    stop = CheckpointConfig(path=tmp_path / "run.lm", should_stop=stop_after(3))
    train_lm(data, config(), checkpoint=stop)
    (tmp_path / "other.txt").write_text("\n".join(lines(300, seed=2)))
    other = ns.preprocess(ns.open_corpus(tmp_path / "other.txt"), data.config, tmp_path / "other.tokens")
    with pytest.raises(ArtifactError, match=r"was trained on another text than"):
        resume_lm(CheckpointConfig(path=stop.path), other)


@pytest.fixture(scope="module")
def half_a_run(data, tmp_path_factory):
    """Train 35 steps with one validation, then stop."""
    stop = CheckpointConfig(path=tmp_path_factory.mktemp("stopped") / "run.lm", should_stop=stop_after(35))
    model = train_lm(data, config(validate_every=0.2), checkpoint=stop)
    assert len(model.meta["position"]["valid_losses"]) == 1
    return stop.path


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
def test_resume_lm_refuses_forged_position(data, stopped, forged):
    refuse(data, stopped, {"position": forged}, next(iter(forged)))


@pytest.mark.parametrize("precision", ["foo", None, "auto", []])
def test_resume_lm_refuses_forged_precision(data, stopped, precision):
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
def test_resume_lm_refuses_forged_probe_results(data, stopped, facts):
    refuse(data, stopped, {"facts": facts}, "facts|expected_passes|vectors_cover_text")


def test_resume_lm_refuses_endless_run(data, stopped):
    refuse(data, stopped, {"config": {"epochs": None, "time_budget": None}}, "epochs")


def refuse(data, run, forged, field):
    """Check that meta.json with other fields is refused, with advice."""
    checkpoint = run / "checkpoint"
    meta = json.loads((checkpoint / "meta.json").read_text())
    for name, value in forged.items():
        is_part = isinstance(value, dict) and name != "facts"
        meta[name] = meta[name] | value if is_part else value
    (checkpoint / "meta.json").write_text(json.dumps(meta))
    seal(checkpoint)
    with pytest.raises(ArtifactError, match=rf"meta\.json: is not valid \(.*({field}).*\. Train again"):
        resume_lm(CheckpointConfig(path=run), data)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (MODEL, {"output_bias": float("nan")}, r"numbers in output_bias that are not finite\. Copy"),
        (TRAINING, {"average.0": float("inf")}, r"numbers in average\.0 that are not finite\. Copy"),
        (TRAINING, {"optimizer.1.exp_avg": None}, r"does not fit meta\.json \(see optimizer\.1\.exp_avg\)"),
        (TRAINING, {"state.0.0": torch.zeros(1, 3, 3)}, "does not fit"),
        (TRAINING, {"average_updates": torch.tensor(-1)}, "average_updates is -1"),
        (TRAINING, {"average.0": torch.zeros(2, dtype=torch.float16)}, r"average\.0 as torch\.float16"),
        (MODEL, {"output_bias": None, "other_bias": torch.zeros(12)}, "does not fit"),
    ],
)
def test_resume_lm_refuses_forged_tensors(data, stopped, name, change, message):
    checkpoint = stopped / "checkpoint"
    tensors = load_file(checkpoint / name)
    for key, value in change.items():
        if isinstance(value, float):
            tensors[key].view(-1)[0] = value
        elif value is None:
            del tensors[key]
        else:
            tensors[key] = value
    save_file(tensors, checkpoint / name)
    seal(checkpoint)
    with pytest.raises(ArtifactError, match=rf"{name}.* {message}"):
        resume_lm(CheckpointConfig(path=stopped), data)


def test_resume_lm_refuses_forged_metrics(data, stopped):
    (stopped / "checkpoint" / "metrics.jsonl").write_text(
        '{"step": 1, "valid_loss": 2.0, "valid_perplexity": "x"}\n'
    )
    seal(stopped / "checkpoint")
    with pytest.raises(ArtifactError, match=r"metrics\.jsonl: line \d+ is not a measurement"):
        resume_lm(CheckpointConfig(path=stopped), data)


def test_load_refuses_infinite_weights(data, tmp_path):
    model = train_lm(data, config(epochs=1))
    with torch.no_grad():
        model.model.output_bias[0] = math.nan
    model.save(tmp_path / "bad.lm")
    with pytest.raises(
        ArtifactError, match=r"model\.safetensors: has numbers in output_bias that are not finite"
    ):
        ns.LanguageModel.load(tmp_path / "bad.lm")


def test_resume_lm_refuses_complete_run(data, tmp_path):
    stop = CheckpointConfig(path=tmp_path / "run.lm")
    train_lm(data, config(epochs=1), checkpoint=stop)
    with pytest.raises(ConfigError, match="is complete"):
        resume_lm(stop, data)


def test_train_lm_refuses_short_text(data):
    with pytest.raises(DataError, match=r"and --batch-size 2000 needs at least 4,000\. Give more text"):
        train_lm(data, config(batch_size=2000))


def test_saved_model_loads_unchanged(data, tmp_path):
    model = train_lm(data, config(epochs=1))
    model.save(tmp_path / "a.lm")
    again = ns.LanguageModel.load(tmp_path / "a.lm")
    assert again.perplexity(data.split("test")) == model.perplexity(data.split("test"))
    assert again.metrics == model.metrics
    again.save(tmp_path / "b.lm")
    assert (tmp_path / "a.lm" / MODEL).read_bytes() == (tmp_path / "b.lm" / MODEL).read_bytes()
