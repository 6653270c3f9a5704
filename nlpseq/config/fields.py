"""Parts of a config: fields with help and bounds, their checks, conversion to and from dictionaries."""

import math
import reprlib
import sys
from collections.abc import Mapping
from dataclasses import field, fields, replace
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, TypeGuard, TypeVar, get_args, get_origin, get_type_hints

from nlpseq.errors import ConfigError

__all__ = [
    "MAX_THREADS",
    "Bounds",
    "Config",
    "are_numbers",
    "check",
    "from_dict",
    "from_stored",
    "is_number",
    "is_whole",
    "seed_setting",
    "setting",
    "split_settings",
    "threads_setting",
]

T = TypeVar("T")

MAX_THREADS = 1024


class Bounds(NamedTuple):
    """The limits of a number, each of them optional."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def contain(self, value: float) -> bool:
        """Return True if `value` is finite and within the limits."""
        return (
            abs(value) < math.inf
            and (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )

    def wanted(self, value: float) -> str:
        """Describe the values allowed instead of `value`."""
        is_range = self.ge is not None and self.le is not None
        if abs(value) < math.inf or is_range or self == Bounds():
            return str(self)
        return f"a finite number {self}"

    def __str__(self) -> str:
        if self.ge is not None and self.le is not None:
            return f"from {self.ge:,} to {self.le:,}"
        names = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
        limits = [f"{names[key]} {limit:,}" for key, limit in self._asdict().items() if limit is not None]
        return " and ".join(limits) or "a finite number"


def setting(
    default: Any,
    help: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    unit: str | None = None,
    before: Any = None,
) -> Any:
    """Return a dataclass field with the help text and the bounds that the command line shows.

    On the command line, a field with the unit "seconds" also takes 90s, 10m or 1h30m, and a field with the
    unit "file" takes the name of a file with its value. before: the value in results that are older than the
    field, by default the default.
    """
    bounds = Bounds(ge, gt, le, lt)
    metadata = {"help": help, "unit": unit, "bounds": bounds, "before": default if before is None else before}
    return field(default=default, metadata=metadata)


def seed_setting() -> Any:
    """Return the field for the seed of all random numbers."""
    return setting(1, "seed of all random numbers", ge=0)


def threads_setting() -> Any:
    """Return the field for the number of threads."""
    return setting(None, "threads [default: all cores that this process may use]", ge=1, le=MAX_THREADS)


class Config:
    """Base of the config dataclasses: each field must have its type and lie within its bounds."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for each in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value, hint = getattr(self, each.name), hints[each.name]
            if get_origin(hint) is Literal:
                check(value in get_args(hint), self, each.name, "one of " + ", ".join(get_args(hint)))
            else:
                names = [t.__name__ for t in get_args(hint) or (hint,) if t is not type(None)]
                check(_has_type(value, hint), self, each.name, f"of type {' or '.join(names)}")
            if isinstance(value, int | float) and not isinstance(value, bool):
                bounds = each.metadata["bounds"]
                check(bounds.contain(value), self, each.name, bounds.wanted(value))


def check(holds: bool, config: Any, name: str, wanted: str) -> None:
    """Raise ConfigError with a field, its value and the allowed values."""
    if not holds:
        value = getattr(config, name)
        # Shortened, because a file can hold a list of any length.
        shown = reprlib.repr(value) if isinstance(value, list | dict) else repr(value)
        raise ConfigError(f"{name}: {shown} is not valid. The value must be {wanted}.")


def is_number(value: object, most: float = sys.float_info.max) -> TypeGuard[float]:
    """Return True for an int or float from 0 to `most`; a bool is no number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


def is_whole(value: object) -> bool:
    """Return True for an int from 0 to the largest of 64 bits."""
    return isinstance(value, int) and is_number(value, 2**63 - 1)


def are_numbers(values: object, length: int | None = None) -> bool:
    """Return True for a list of numbers of at least 0, with `length` elements if given."""
    return isinstance(values, list) and length in (None, len(values)) and all(map(is_number, values))


def from_dict(config_type: type[T], values: Mapping[str, Any], base: T | None = None) -> T:
    """Build a config from plain values, such as a TOML table.

    base: has the values of the other keys, in place of the defaults. Raises ConfigError for an unknown key,
    with a suggestion, for a value that is not valid, and for a base of another type.
    """
    if not isinstance(base, config_type | None):
        name = config_type.__name__
        raise ConfigError(f"config: is of type {type(base).__name__}. Use {name}, or settings by name.")
    _check_names(values, config_type)
    config: T = config_type(**values) if base is None else replace(base, **values)  # type: ignore[type-var]
    for key, value in values.items():
        has = getattr(config, key)
        if has != value:  # because the tokenizer `bpe` replaces defaults of other settings
            tokenizer, option = vars(config)["tokenizer"], f"--{key.replace('_', '-')}"
            raise ConfigError(
                f"{key}: is {has!r} with the tokenizer {tokenizer}, not {value!r}. Leave out {option}."
            )
    return config


def split_settings(
    config_type: type[T], config: T | None, settings: Mapping[str, Any], other_type: type
) -> tuple[T, dict[str, Any]]:
    """Return a config with its settings by name, and the settings of another config type.

    Raises ConfigError as from_dict.
    """
    _check_names(settings, config_type, other_type)
    own = {name: settings[name] for name in _names(config_type) if name in settings}
    others = {name: value for name, value in settings.items() if name not in own}
    return from_dict(config_type, own, config), others


def _names(config_type: type) -> list[str]:
    return [each.name for each in fields(config_type)]


def _check_names(values: Mapping[str, Any], *config_types: type) -> None:
    known = [name for config_type in config_types for name in _names(config_type)]
    for key in values:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"Did you mean {close[0]}?" if close else "Use one of " + ", ".join(known) + "."
            types = " or ".join(config_type.__name__ for config_type in config_types)
            raise ConfigError(f"{key}: unknown setting of {types}. {hint}")


def from_stored(config_type: type[T], values: Mapping[str, Any]) -> T:
    """Build the config that a meta.json stores; raises as from_dict."""
    before = {each.name: each.metadata["before"] for each in fields(config_type)}  # type: ignore[arg-type]
    return from_dict(config_type, {**before, **values})


def _has_type(value: Any, hint: Any) -> bool:
    """Return True if `value` is of a type of `hint`; an int also serves as a float."""
    allowed = get_args(hint) or (hint,)
    if type(value) is int:
        return int in allowed or float in allowed
    return isinstance(value, allowed) and not (isinstance(value, bool) and bool not in allowed)
