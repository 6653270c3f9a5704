"""Watch the checkpoints of training runs."""

import pytest

from nlpseq.training.checkpoint import Checkpointer


def count_saves(monkeypatch: pytest.MonkeyPatch) -> list[Checkpointer]:
    """Return a list that grows by an item at each checkpoint of later runs."""
    saves, save = list[Checkpointer](), Checkpointer.save

    def save_and_count(checkpointer: Checkpointer) -> None:
        save(checkpointer)
        saves.append(checkpointer)

    monkeypatch.setattr(Checkpointer, "save", save_and_count)
    return saves
