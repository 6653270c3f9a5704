"""Devices of the GPU tests: skip without a GPU, or run on the CPU if NLPSEQ_SMOKE is set."""

import importlib
import os
from types import ModuleType
from typing import Any

import pytest

from nlpseq.errors import BackendUnavailable
from nlpseq.word2vec.kernels import select

SMOKE = bool(os.environ.get("NLPSEQ_SMOKE"))


@pytest.fixture(scope="session")
def backend() -> str:
    """Return "cupy"; skip the test if CuPy finds no GPU."""
    if SMOKE:
        return "numpy"
    try:
        select.array_module("cupy")
    except BackendUnavailable as error:
        pytest.skip(str(error))
    return "cupy"


@pytest.fixture(scope="session")
def xp(backend: str) -> ModuleType:
    """Return the array module of the backend."""
    return importlib.import_module(backend)


@pytest.fixture(scope="session")
def device() -> Any:
    """Return the CUDA device of PyTorch, with exact float32; skip the test without a GPU."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    if SMOKE:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch finds no CUDA device")
    torch.backends.cudnn.allow_tf32 = False  # because the CPU does not round to TF32
    return torch.device("cuda")
