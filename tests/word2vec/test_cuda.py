"""word2vec.cu as C++ equals the specification, lanes agree, and NVRTC and nvcc compile the source."""

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from support.kernel_cases import BUCKETS, CASES, VARIANTS, make_tables, make_weights
from support.proxy import proxied, xp as proxy

from nlpseq.config import Word2VecConfig
from nlpseq.errors import ConfigError
from nlpseq.word2vec.kernels.fused_cupy import (
    SOURCE,
    WARP,
    Parts,
    check_room,
    constants,
    max_spans,
    spans_kernel,
)
from nlpseq.word2vec.kernels.layered import make_layered
from nlpseq.word2vec.kernels.select import Span
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.parallel import ParallelSizes
from nlpseq.word2vec.sampling import PART_TOKENS, Kept, Tables, epoch_keys, kept_words

HOST = Path(__file__).parents[1] / "support" / "cuda" / "host.cpp"
IDS = [f"{variant}-V{v}-D{d}-K{k}-W{w}" for variant, (v, d, k, w) in CASES]


def build(config: Word2VecConfig, warp: int = 1) -> ctypes.CDLL:
    """Compile word2vec.cu for this config into a library of this machine."""
    library = Path(mkdtemp(prefix="nlpseq-test-")) / "w2v.so"
    compiler = ["g++", "-std=c++17", "-O1", "-shared", "-fPIC", *constants(config, warp)]
    subprocess.run([*compiler, str(HOST), "-o", str(library)], check=True)
    try:
        return ctypes.CDLL(str(library))
    finally:
        shutil.rmtree(library.parent)


@cache
def launcher(config: Word2VecConfig) -> Callable[[int, tuple[Any, ...]], None]:
    library = build(config)

    def launch(num_spans: int, arguments: tuple[Any, ...]) -> None:
        library.launch(*map(as_c, arguments))

    return launch


def as_c(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        assert value.flags.c_contiguous
        return ctypes.c_void_p(value.ctypes.data)
    if hasattr(value, "host"):
        return as_c(value.host)
    return (ctypes.c_uint64 if isinstance(value, np.uint64) else ctypes.c_int64)(int(value))


@pytest.mark.parametrize(("variant", "size"), CASES, ids=IDS)
def test_cuda_source_equals_specification(variant: str, size: tuple[int, int, int, int]) -> None:
    check_source(variant, size, subwords=False)


@pytest.mark.parametrize("variant", ["skipgram-window", "cbow-corrected", "cbow-legacy"])
@pytest.mark.parametrize("size", [(7, 5, 3, 2), (60, 33, 13, 9)], ids=str)
def test_cuda_source_with_subwords_equals_specification(
    variant: str, size: tuple[int, int, int, int]
) -> None:
    check_source(variant, size, subwords=True)


def check_source(variant: str, size: tuple[int, int, int, int], *, subwords: bool) -> None:
    num_words, dim, negatives, window = size
    config, rate, error = replace(VARIANTS[variant], dim=dim, negatives=negatives, window=window), 0.05, 2e-5
    if subwords:  # rounding errors grow, because all words share few rows
        config, rate, error = replace(config, subwords="3:4", buckets=BUCKETS), 0.01, 1e-4
    train_spans, layered = (
        spans_kernel(launcher(config), config.window, np),
        make_layered(config, np, batch=1),
    )
    tables = make_tables(num_words, subwords=subwords)
    ours = make_weights(num_words, dim, WARP, buckets=config.buckets or 0)
    reference = Weights(*(weight.astype(np.float64) for weight in ours))
    bounds = range(0, len(tables.tokens), 20)
    for epoch in range(2):
        keys = epoch_keys(3, epoch)
        spans = [Span(start, min(start + 20, len(tables.tokens)), np.float32(rate)) for start in bounds]
        loss, predictions = train_spans(tables, keys, ours, spans)
        wanted = [layered(tables, keys, reference, span.start, span.stop, rate) for span in spans]
        assert predictions == sum(count for _, count in wanted) > 5
        assert loss == pytest.approx(sum(loss for loss, _ in wanted), rel=1e-5, abs=1e-6)
    for mine, theirs in zip(ours, reference, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=error)
        assert (mine[:, dim:] == 0).all()


@pytest.mark.parametrize(("streamed", "subwords"), [(False, None), (True, None), (False, "3:4")])
def test_arrays_stay_on_their_device(streamed: bool, subwords: str | None) -> None:
    config = replace(VARIANTS["skipgram-window"], dim=5, negatives=3, window=2, subwords=subwords)
    tables, keys = make_tables(7, subwords=subwords is not None), epoch_keys(1, 0)
    here = make_weights(7, 5, WARP, buckets=BUCKETS)
    there = Weights(*(proxy.asarray(weight.copy()) for weight in here))
    spans = [Span(0, 40, np.float32(0.1)), Span(40, 154, np.float32(0.05))]
    wanted = spans_kernel(launcher(config), config.window, np)(tables, keys, here, spans)
    train_spans = spans_kernel(launcher(config), config.window, proxy)
    assert train_spans(proxied(tables, streamed=streamed), keys, there, spans) == wanted
    for mine, theirs in zip(here, there, strict=True):
        np.testing.assert_array_equal(mine, theirs.host)


@pytest.mark.parametrize("variant", VARIANTS)
def test_text_in_parts_equals_whole_text(variant: str) -> None:
    config = replace(VARIANTS[variant], dim=5, negatives=3, window=4)
    tables, keys = make_tables(7), epoch_keys(1, 0)
    tables = tables._replace(sentences=tables.sentences[2:])  # because a text may start after 0
    start, stop = int(tables.sentences[0]), int(tables.sentences[-1])
    spans = [Span(first, min(first + 10, stop), np.float32(0.1)) for first in range(start, stop, 10)]
    spans = spans[8:] + spans[:8]
    results, drawn = [], list[tuple[int, int]]()

    def draw(tables: Tables, keys: Any, window: int, start: int, stop: int, xp: Any) -> Kept:
        drawn.append((start, stop))
        return kept_words(tables, keys, window, start, stop, xp)

    for part in (10**9, 40):
        weights, parts = make_weights(7, 5, WARP), Parts(config.window, np, part, draw)
        train_spans = spans_kernel(launcher(config), config.window, np, parts)
        sums = [train_spans(tables, keys, weights, some) for some in (spans[:6], spans[6:])]
        results.append((*weights, *np.sum(sums, axis=0)))
    for whole, parted in zip(*results, strict=True):
        np.testing.assert_allclose(whole, parted, rtol=1e-15)  # because losses are summed in another order
    wanted = [(start + offset, min(start + offset + 40, stop)) for offset in (80, 120, 0, 40)]
    assert drawn == [(start, stop), *wanted], "each part once"


def test_chunk_of_default_size_never_crosses_parts() -> None:
    assert PART_TOKENS % ParallelSizes().chunk_tokens == 0


def test_check_room_refuses_large_window() -> None:
    check_room(Word2VecConfig(window=96, negatives=15))
    with pytest.raises(
        ConfigError, match=r"--window: 100 with 15 negatives needs 51,200 bytes .* --kernel layers"
    ):
        check_room(Word2VecConfig(window=100, negatives=15))
    check_room(Word2VecConfig(objective="cbow", window=100, negatives=15))
    check_room(Word2VecConfig(window=100, negatives=15, subwords="3:6"))


def test_kernel_uses_learning_rate_of_each_span() -> None:
    config = replace(VARIANTS["skipgram-window"], dim=5, negatives=3, window=2)
    train_spans, layered = (
        spans_kernel(launcher(config), config.window, np),
        make_layered(config, np, batch=1),
    )
    tables, ours, reference, keys = (
        make_tables(7),
        make_weights(7, 5, WARP),
        make_weights(7, 5, WARP),
        epoch_keys(1, 0),
    )
    spans = [Span(0, 40, np.float32(0.1)), Span(100, 140, np.float32(0)), Span(40, 100, np.float32(0.02))]
    train_spans(tables, keys, ours, spans)
    for span in spans:
        layered(tables, keys, reference, *span)
    np.testing.assert_allclose(ours.in_VD, reference.in_VD, atol=2e-6)


def test_other_text_of_same_epoch_is_drawn_again() -> None:
    config = replace(VARIANTS["skipgram-window"], dim=5, negatives=3, window=2)
    train_spans, keys = spans_kernel(launcher(config), config.window, np), epoch_keys(1, 0)
    tables, weights = make_tables(7), make_weights(7, 5, WARP)
    held_out = tables._replace(sentences=tables.sentences[4:])
    first = int(held_out.sentences[0])
    loss = [
        train_spans(each, keys, weights, [Span(first, first + 90, np.float32(0))])
        for each in (tables, held_out, tables)
    ]
    assert loss[0] == loss[2] and loss[1] == loss[0]  # because windows end with their sentence
    beyond = [
        train_spans(each, keys, weights, [Span(0, first, np.float32(0))])[1] for each in (tables, held_out)
    ]
    assert beyond[0] > 0 == beyond[1]


def test_warp_lanes_sum_and_cover_each_row_once() -> None:
    for dim in (32, 64, 100, 160, 300):
        config = Word2VecConfig(dim=dim)
        library = build(config, 32)
        values = np.random.default_rng(dim).integers(-99, 99, 32).astype(np.float32)
        total = values.sum()
        library.sum_of_lanes(as_c(values))
        assert (values == total).all()
        index_LP = np.full((32, -(-dim // 32)), -1, np.int32)
        library.indices(as_c(index_LP))
        assert sorted(index_LP.ravel()) == list(range(index_LP.size))
        adjacent = 4 if index_LP.shape[1] % 4 == 0 else 2 if index_LP.shape[1] % 2 == 0 else 1
        assert (index_LP[:, ::adjacent] % adjacent == 0).all()  # because a lane loads adjacent floats at once
        assert (np.diff(index_LP.reshape(32, -1, adjacent), axis=2) == 1).all()


def test_text_and_vocabulary_limit_spans_at_once() -> None:
    tables = make_tables(7)
    assert max_spans(tables, 125) == 1
    large = tables._replace(tokens=np.empty(10**6, np.uint16), keep_V=np.empty(10**6, np.uint32))
    assert max_spans(large, 125) == 50 and max_spans(large, 2) == 32
    assert max_spans(large._replace(keep_V=np.empty(500, np.uint32)), 125) == 10


@pytest.mark.parametrize("architecture", ["sm_75", "sm_90"])
@pytest.mark.parametrize("subwords", [None, "3:6"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_nvrtc_compiles_source(variant: str, subwords: str | None, architecture: str) -> None:
    spec = find_spec("nvidia")  # namespace of the wheels of NVIDIA; nvidia-cuda-nvrtc needs no GPU
    assert spec is not None and spec.submodule_search_locations
    places = map(Path, spec.submodule_search_locations)
    library = next(file for place in places for file in place.glob("cu[0-9]*/lib/libnvrtc.so.*"))
    nvrtc, program = ctypes.CDLL(str(library)), ctypes.c_void_p()
    source = SOURCE.read_bytes()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"word2vec.cu", 0, None, None) == 0
    config = replace(VARIANTS[variant], subwords=subwords)
    options = [*constants(config, 32), "-std=c++17", f"-arch={architecture}"]
    encoded = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    failed = nvrtc.nvrtcCompileProgram(program, len(options), encoded)
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert not failed, log.value.decode()


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc on this machine")
@pytest.mark.parametrize("variant", VARIANTS)
def test_nvcc_compiles_source(variant: str, tmp_path: Path) -> None:
    options = [*constants(VARIANTS[variant], 32), "-std=c++17", "-arch=sm_90", "-cubin"]
    subprocess.run(["nvcc", *options, str(SOURCE), "-o", str(tmp_path / "word2vec.cubin")], check=True)
