"""Fixtures of the language model's tests."""

import pytest
import torch
from support.lm_models import encode, letters

from nlpseq.lm.batches import Stream


@pytest.fixture(autouse=True)
def one_thread():
    """Run PyTorch on one thread, because tiny networks are slower on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Encode a text of letters."""
    return encode(tmp_path_factory.mktemp("data"), letters(12))


@pytest.fixture
def stream(data):
    """Return the whole text as one stream."""
    return Stream(data)
