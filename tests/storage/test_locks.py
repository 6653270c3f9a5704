"""One process at a time writes a place."""

import threading
from pathlib import Path

import pytest

from nlpseq.errors import ConfigError
from nlpseq.storage import locks as claim
from nlpseq.storage.locks import path_lock, remove_stale_locks


def test_a_place_is_one_block_s_at_a_time(tmp_path: Path) -> None:
    with path_lock(tmp_path / "a"), path_lock(tmp_path / "b"):
        with pytest.raises(ConfigError, match=r"a is being written by another process\. Wait until"):
            path_lock(tmp_path / "a").__enter__()
        remove_stale_locks(tmp_path, [each.name for each in tmp_path.iterdir()])
        assert len(list(tmp_path.iterdir())) == 2
    assert not list(tmp_path.iterdir())
    with path_lock(tmp_path / "a"):
        pass


def test_one_who_only_looks_is_waited_for(tmp_path: Path) -> None:
    with path_lock(tmp_path / "a"):
        (lock,) = tmp_path.iterdir()
    handle = claim._taken(lock)
    assert handle is not None
    threading.Timer(0.1, claim._give_up, (lock, handle)).start()
    with path_lock(tmp_path / "a"):
        assert lock.exists()
