"""CuPy layers and the CUDA kernel on the device, against the specification on NumPy."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from support.kernel_cases import BUCKETS, CASES, VARIANTS, make_tables, make_weights
from support.word2vec_runs import GROUPS, SMALL, encode, sentences, stop_after

import nlpseq as ns
from nlpseq.training.checkpoint import CheckpointConfig
from nlpseq.vectors.subwords import Bags
from nlpseq.word2vec.kernels.fused_cupy import WARP, Parts, make_kernel
from nlpseq.word2vec.kernels.layered import make_layered
from nlpseq.word2vec.kernels.select import Span, select
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Tables, epoch_keys

IDS = [f"{variant}-V{v}-D{d}-K{k}-W{w}" for variant, (v, d, k, w) in CASES]
RATE = np.float32(0.05)


def on_device(tables: Tables, xp: Any, *, streamed: bool = False) -> Tables:
    """Move tables to the device; a streamed text stays in main memory."""
    tokens = tables.tokens if streamed else xp.asarray(tables.tokens)
    bags = None if tables.bags is None else Bags(*map(xp.asarray, tables.bags))
    return Tables(tokens, tables.sentences, xp.asarray(tables.keep_V), xp.asarray(tables.alias_V2), bags)


def to_numpy(array: Any) -> np.ndarray[Any, Any]:
    return array.get() if hasattr(array, "get") else np.asarray(array)


@pytest.mark.parametrize("subwords", [None, "3:4"])
@pytest.mark.parametrize(("variant", "size"), CASES, ids=IDS)
def test_fused_kernel_matches_specification(
    backend: str, xp: ModuleType, variant: str, size: tuple[int, int, int, int], subwords: str | None
) -> None:
    num_words, dim, negatives, window = size
    buckets = BUCKETS if subwords else 0
    settings: Any = {"subwords": subwords, "buckets": buckets or None}
    config = replace(VARIANTS[variant], dim=dim, negatives=negatives, window=window, **settings)
    fused, layered = select(replace(config, backend=backend)), make_layered(config, np, batch=1)
    tables = make_tables(num_words, subwords=subwords is not None)
    there, ours = on_device(tables, xp), make_weights(num_words, dim, fused.lanes, buckets=buckets)
    rate = np.float32(0.01) if subwords else RATE  # errors grow, because all words share few rows
    reference = Weights(*(weight.astype(np.float64) for weight in ours))
    ours = Weights(*(xp.asarray(weight) for weight in ours))
    for epoch in range(2):
        keys = epoch_keys(3, epoch)
        for start in range(0, len(tables.tokens), 20):  # one at a time: spans at once race
            stop = min(start + 20, len(tables.tokens))
            loss, predictions = fused.train_spans(there, keys, ours, [Span(start, stop, rate)])
            wanted_loss, wanted = layered(tables, keys, reference, start, stop, float(rate))
            assert predictions == wanted
            assert loss == pytest.approx(wanted_loss, rel=1e-4, abs=1e-5)
    for mine, theirs in zip(ours, reference, strict=True):
        np.testing.assert_allclose(
            to_numpy(mine), theirs, atol=1e-4 if subwords else 5e-5
        )  # float32 additions
        assert (to_numpy(mine)[:, dim:] == 0).all()  # padding


@pytest.mark.parametrize("variant", VARIANTS)
def test_layers_match_numpy(xp: ModuleType, variant: str) -> None:
    config = replace(VARIANTS[variant], dim=17, negatives=5, window=5)
    tables, keys, results = make_tables(50), epoch_keys(1, 0), []
    for module in (np, xp):
        weights = Weights(*(module.asarray(weight) for weight in make_weights(50, 17)))
        step = make_layered(config, module, batch=4)
        loss = step(on_device(tables, module), keys, weights, 0, 154, float(RATE))
        results.append([*loss, *(to_numpy(weight) for weight in weights)])
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=5e-5)  # float32 sums in another order


@pytest.mark.parametrize("streamed", [False, True], ids=["on device", "streamed"])
@pytest.mark.parametrize("part_tokens", [10**9, 40], ids=["whole", "in parts"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_text_in_parts_gives_same_weights(
    backend: str, xp: ModuleType, variant: str, part_tokens: int, streamed: bool
) -> None:
    if backend != "cupy":
        pytest.skip("parts are copied to a GPU only")
    config = replace(VARIANTS[variant], dim=5, negatives=3, window=4)
    results = []
    for parts, is_streamed in ((None, False), (Parts(config.window, xp, part_tokens), streamed)):
        tables = on_device(make_tables(7), xp, streamed=is_streamed)
        weights = Weights(*(xp.asarray(each) for each in make_weights(7, 5, WARP)))
        train_spans = make_kernel(config, xp, parts)
        loss = 0.0
        for start in range(0, len(tables.tokens), 10):  # one at a time: spans at once race
            span = Span(start, min(start + 10, len(tables.tokens)), RATE)
            loss += train_spans(tables, epoch_keys(1, 0), weights, [span])[0]
        results.append([np.array(loss), *map(to_numpy, weights)])
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def group_gap(vectors: ns.Vectors) -> float:
    """Return the mean cosine within the word groups minus the mean cosine between them."""
    animals, days = GROUPS.values()
    within = [vectors.similarity(a, b) for group in (animals, days) for a in group for b in group if a < b]
    between = [vectors.similarity(a, b) for a in animals for b in days]
    return float(np.mean(within) - np.mean(between))


@pytest.mark.parametrize("kernel", ["fused", "layers"])
@pytest.mark.parametrize("objective", ["skipgram", "cbow"])
def test_training_learns_groups(backend: str, tmp_path: Path, kernel: str, objective: str) -> None:
    data = encode(tmp_path, sentences(1500))
    config = replace(SMALL, backend=backend, kernel=kernel, objective=objective, epochs=6)
    vectors = ns.train_word2vec(data, config)
    assert group_gap(vectors) > 0.3
    assert vectors.meta["complete"]


@pytest.mark.parametrize("kernel", ["fused", "layers"])
def test_stopped_run_resumes_and_learns(backend: str, tmp_path: Path, kernel: str) -> None:
    data = encode(tmp_path, sentences(1500))
    config = replace(SMALL, backend=backend, kernel=kernel, epochs=6)
    path = tmp_path / "run.w2v"
    checkpoint = CheckpointConfig(path=path, should_stop=stop_after(2))
    assert not ns.train_word2vec(data, config, checkpoint=checkpoint).meta["complete"]
    vectors = ns.resume(path)
    assert vectors.meta["complete"]
    assert group_gap(vectors) > 0.3
