"""Counters that every training run stores; each stage adds its own."""

from dataclasses import dataclass

from nlpseq.config.fields import check_counters

__all__ = ["TrainState"]


@dataclass
class TrainState:
    """Position of a run in its data and in time."""

    epoch: int = 0  # from 0
    seconds: float = 0.0  # spent in training

    def __post_init__(self) -> None:
        """Raise ConfigError for an impossible value, as files may hold any."""
        check_counters(self)
