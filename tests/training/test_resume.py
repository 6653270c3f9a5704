"""nlpseq.resume: every stage, from Python alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.word2vec_runs import encode, sentences, stop_after

import nlpseq as ns
from nlpseq.training.metrics import read_curves

ARRAYS = ("vectors.npy", "contexts.npy", "model.safetensors")


def train_word2vec(data: ns.TokenDataset, checkpoint: ns.CheckpointConfig) -> Any:
    return ns.train_word2vec(data, ns.Word2VecConfig(dim=4, epochs=50, threads=1), checkpoint=checkpoint)


def train_glove(data: ns.TokenDataset, checkpoint: ns.CheckpointConfig) -> Any:
    counts = ns.count_cooccurrences(data.split("train"))
    return ns.train_glove(counts, ns.GloveConfig(dim=4, epochs=3, threads=1), checkpoint=checkpoint)


def train_lm(data: ns.TokenDataset, checkpoint: ns.CheckpointConfig) -> Any:
    pytest.importorskip("torch", reason="the language model needs PyTorch")
    sizes = {"hidden": 4, "dim": 4, "batch_size": 4, "bptt": 9, "epochs": 1, "samples": 5}
    config = ns.LMConfig(**sizes, threads=1, precision="fp32", device="cpu")  # type: ignore[arg-type]
    return ns.train_lm(data, config, checkpoint=checkpoint)


@pytest.mark.parametrize("train", [train_word2vec, train_glove, train_lm], ids=lambda train: train.__name__)
def test_resume_gives_result_of_uninterrupted_run(train: Callable[..., Any], tmp_path: Path) -> None:
    data = encode(tmp_path, sentences(60), valid_share=0.2)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(data, ns.CheckpointConfig(path=whole)).meta["complete"]
    stopped = train(data, ns.CheckpointConfig(path=parts, should_stop=stop_after(0)))
    assert not stopped.meta["complete"]
    assert [each.name for each in parts.iterdir()] == ["checkpoint"]
    resumed = ns.resume(parts)
    assert resumed.meta["complete"]
    names = {each.name for each in whole.iterdir()}
    assert {each.name for each in parts.iterdir()} == names > {"meta.json", "metrics.jsonl", "vocab.tsv"}
    for name in names & set(ARRAYS):
        assert (parts / name).read_bytes() == (whole / name).read_bytes(), name
    lines = [[{**line, "seconds": 0} for line in read_curves(path).metrics] for path in (whole, parts)]
    assert lines[0] == lines[1]


@pytest.mark.parametrize("train", [train_word2vec, train_glove, train_lm], ids=lambda train: train.__name__)
def test_metrics_have_seconds_of_last_step(train: Callable[..., Any], tmp_path: Path) -> None:
    data = encode(tmp_path, sentences(60), valid_share=0.2)
    path = tmp_path / "run"
    meta = train(data, ns.CheckpointConfig(path=path)).meta
    seconds = [line["seconds"] for line in read_curves(path).metrics]
    whole = meta.get("train_seconds") or meta.get("seconds") or meta["position"]["seconds"]
    assert seconds == sorted(seconds) and seconds[-1] == round(whole, 3) > 0


def test_resume_reports_start_and_refuses_other_settings(tmp_path: Path) -> None:
    data = encode(tmp_path, sentences(60))
    path = tmp_path / "run"
    train_word2vec(data, ns.CheckpointConfig(path=path, should_stop=stop_after(0)))
    with pytest.raises(ns.ConfigError, match=r"run: the run started with dim 4, not 5\. Leave out"):
        ns.resume(path, settings={"dim": 5})
    with pytest.raises(ns.ConfigError, match=r"run: is a run of train-w2v\. Continue it with"):
        ns.resume(path, command="train-lm")
    started: list[Any] = []
    ns.resume(path, settings={"dim": 4, "threads": 2}, on_start=lambda run, data: started.append(run))
    assert [(run.path, run.settings["threads"]) for run in started] == [(path, 2)]
    with pytest.raises(ns.DataError, match=r"nowhere: not found"):
        ns.resume(tmp_path / "nowhere")
