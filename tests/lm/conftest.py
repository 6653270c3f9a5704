"""Fixtures of the language model's tests."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Run PyTorch on one thread, because tiny networks are slower on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
