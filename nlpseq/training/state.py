"""Counters that every training run stores; each stage adds its own."""

from dataclasses import dataclass, fields
from typing import get_type_hints

from nlpseq.config.fields import check, is_number, is_whole

__all__ = ["TrainState"]


@dataclass
class TrainState:
    """Position of a run in its data and in time."""

    epoch: int = 0  # from 0
    seconds: float = 0.0  # spent in training

    def __post_init__(self) -> None:
        """Raise ConfigError for an int or float below 0, or NaN."""
        hints = get_type_hints(type(self))
        for each in fields(self):
            value, hint = getattr(self, each.name), hints[each.name]
            if hint is int:
                check(is_whole(value), self, each.name, "an integer, at least 0")
            elif hint is float:
                check(is_number(value), self, each.name, "a number, at least 0")
