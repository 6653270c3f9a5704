"""The fused kernel equals the specification on odd sizes, and select() chooses a kernel."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.kernel_cases import BUCKETS, CASES, VARIANTS, make_tables, make_weights
from support.proxy import proxied, xp as proxy

from nlpseq.config import Word2VecConfig
from nlpseq.errors import BackendUnavailable, ConfigError
from nlpseq.word2vec.kernels.layered import make_layered
from nlpseq.word2vec.kernels.select import KernelSelection, Span, select
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Tables, epoch_keys


def train(
    choice: KernelSelection, tables: Tables, keys: Any, weights: Weights, *span: Any
) -> tuple[float, int]:
    return choice.train_spans(tables, keys, weights, [Span(*span)])


@pytest.mark.parametrize(
    ("variant", "size"), CASES, ids=[f"{variant}-V{v}-D{d}-K{k}-W{w}" for variant, (v, d, k, w) in CASES]
)
def test_fused_kernel_equals_specification(variant: str, size: tuple[int, int, int, int]) -> None:
    num_words, dim, negatives, window = size
    config = replace(VARIANTS[variant], dim=dim, negatives=negatives, window=window)
    fused, layered = select(config), make_layered(config, np, batch=1)
    tables = make_tables(num_words)
    ours = make_weights(num_words, dim)
    reference = Weights(*(weight.astype(np.float64) for weight in ours))
    total = 0
    for epoch in range(2):
        keys = epoch_keys(3, epoch)
        for start in range(0, len(tables.tokens), 20):
            stop = min(start + 20, len(tables.tokens))
            loss, predictions = train(fused, tables, keys, ours, start, stop, np.float32(0.05))
            wanted_loss, wanted = layered(tables, keys, reference, start, stop, 0.05)
            assert predictions == wanted
            assert loss == pytest.approx(wanted_loss, rel=1e-5, abs=1e-6)  # logits are float32 dot products
            total += predictions
    assert total > 20
    for mine, theirs in zip(ours, reference, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-5)  # a few hundred float32 additions
        assert (mine[:, dim:] == 0).all()  # the padding is never written


@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_does_not_depend_on_addresses(variant: str) -> None:
    """Allocations of random size, and threads, move the arrays of the kernel."""
    choice, tables = select(replace(VARIANTS[variant], dim=33, window=9, negatives=13)), make_tables(50)
    rng, in_use, losses = np.random.default_rng(1), list[Any](), list[float]()

    def measure() -> None:
        weights = make_weights(50, 33)
        loss, _ = train(choice, tables, epoch_keys(1, 0), weights, 0, 154, np.float32(0.05))
        losses.append(loss)

    for number in range(150):
        in_use.append(np.empty(rng.integers(1, 1000), np.float32))
        if number % 3 == 0:
            del in_use[rng.integers(len(in_use))]
        if number % 2:
            measure()
        else:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(measure).result()
    assert len(losses) == 150 and len({*losses}) == 1


def test_span_boundaries_change_no_bit() -> None:
    config = replace(VARIANTS["skipgram-window"], dim=5, negatives=3, window=2)
    choice, tables = select(config), make_tables(7)
    whole, pieces = make_weights(7, 5), make_weights(7, 5)
    keys, end = epoch_keys(1, 0), len(tables.tokens)
    train(choice, tables, keys, whole, 0, end, np.float32(0.05))
    for start in range(0, end, 7):
        train(choice, tables, keys, pieces, start, min(start + 7, end), np.float32(0.05))
    np.testing.assert_array_equal(whole.in_VD, pieces.in_VD)
    np.testing.assert_array_equal(whole.out_VD, pieces.out_VD)


def test_token_type_changes_no_bit() -> None:
    config = replace(VARIANTS["cbow-legacy"], dim=5, negatives=3, window=2)
    results = []
    for dtype in (np.uint16, np.uint32):
        weights, tables = make_weights(7, 5), make_tables(7, dtype)
        train(select(config), tables, epoch_keys(1, 0), weights, 0, len(tables.tokens), np.float32(0.05))
        results.append(weights.in_VD)
    np.testing.assert_array_equal(*results)


def test_nan_in_weights_shows_in_loss() -> None:
    config = replace(VARIANTS["skipgram-window"], dim=5, negatives=3, window=2)
    weights, tables = make_weights(7, 5), make_tables(7)
    weights.in_VD[0, 0] = np.nan
    loss, _ = train(select(config), tables, epoch_keys(1, 0), weights, 0, 154, np.float32(0.05))
    assert np.isnan(loss)


@pytest.mark.parametrize("subwords", [None, "3:4"])
@pytest.mark.parametrize("loss", ["negative-sampling", "softmax"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_layered_kernel_calls_given_array_module(variant: str, loss: str, subwords: str | None) -> None:
    config = replace(VARIANTS[variant], dim=5, negatives=3, window=2, loss=loss, subwords=subwords)  # type: ignore[arg-type]
    tables, here = make_tables(7, subwords=subwords is not None), make_weights(7, 5, buckets=BUCKETS)
    there = Weights(*(proxy.asarray(weight.copy()) for weight in here))
    tables_there = proxied(tables, streamed=loss == "softmax")
    for start in (0, 50, 100):
        wanted = make_layered(config, np)(tables, epoch_keys(1, 0), here, start, start + 50, np.float32(0.05))
        got = make_layered(config, proxy)(
            tables_there, epoch_keys(1, 0), there, start, start + 50, np.float32(0.05)
        )  # type: ignore[arg-type]
        assert got == wanted
    for mine, theirs in zip(here, there, strict=True):
        np.testing.assert_array_equal(mine, theirs.host)


def test_auto_selects_fused_kernel_or_layers_for_softmax() -> None:
    assert select(Word2VecConfig())[:2] == ("numpy", "fused")
    assert select(Word2VecConfig(loss="softmax"))[:2] == ("numpy", "layers")


def test_select_refuses_fused_softmax() -> None:
    with pytest.raises(ConfigError, match=r"no softmax loss\. Use --kernel layers"):
        select(Word2VecConfig(loss="softmax", kernel="fused"))


def test_select_refuses_missing_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(BackendUnavailable, match=r"CuPy: not installed .*\.\[cuda12\]"):
        select(Word2VecConfig(backend="cupy"))
