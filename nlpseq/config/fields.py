"""What configs are made of: fields with a help text, checks that name the field, plain values in and out."""

import reprlib
import sys
from collections.abc import Mapping
from dataclasses import asdict, field, fields
from difflib import get_close_matches
from typing import Any, Literal, TypeGuard, TypeVar, get_args, get_type_hints

from nlpseq.errors import ConfigError

T = TypeVar("T")


def setting(default: Any, help: str, unit: str | None = None) -> Any:
    """A field whose help text the command line shows; with the unit "seconds" it takes 90s or 10m there."""
    return field(default=default, metadata={"help": help, "unit": unit})


def check(holds: bool, config: Any, name: str, wanted: str) -> None:
    """Raise ConfigError naming the field, its value and what it must be."""
    if not holds:
        value = getattr(config, name)
        shown = (
            reprlib.repr(value) if isinstance(value, list | dict) else repr(value)
        )  # of a file, any length
        raise ConfigError(f"{name} is {shown}. It must be {wanted}.")


def check_choices(config: Any) -> None:
    """Hold every Literal field to its choices and every number to its type."""
    hints = get_type_hints(type(config))
    for each in fields(config):
        options = choices(hints[each.name])
        value = getattr(config, each.name)
        if options:
            check(value in options, config, each.name, "one of " + ", ".join(options))
        elif not _fits(value, hints[each.name]):
            check(False, config, each.name, f"of type {_type_name(hints[each.name])}")


def check_numbers(config: Any, *names: str) -> None:
    """Hold fields read from a file to numbers from 0 on: JSON knows NaN and Infinity too."""
    for name in names:
        check(is_number(getattr(config, name)), config, name, "a number, at least 0")


def check_whole(config: Any, *names: str) -> None:
    """Hold fields read from a file to whole numbers from 0 on."""
    for name in names:
        check(is_whole(getattr(config, name)), config, name, "a whole number, at least 0")


def is_number(value: object, most: float = sys.float_info.max) -> TypeGuard[float]:
    """Whether it is a number from 0 to `most`: no bool, an int to Python, no NaN and no infinity."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most


def is_whole(value: object) -> bool:
    """Whether it is a whole number from 0 on that 64 bits hold."""
    return isinstance(value, int) and is_number(value, 2**63 - 1)


def are_numbers(values: object, length: int | None = None) -> bool:
    """Whether it is a list of numbers from 0 on, and of this length where one is given."""
    return isinstance(values, list) and length in (None, len(values)) and all(map(is_number, values))


def choices(hint: Any) -> tuple[str, ...]:
    """The values of a Literal type, () for any other."""
    return get_args(hint) if getattr(hint, "__origin__", None) is Literal else ()


def from_dict(config_type: type[T], values: Mapping[str, Any]) -> T:
    """A config from plain values, such as a TOML table or a stored meta.json; unknown keys are an error."""
    known = [each.name for each in fields(config_type)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"Did you mean {close[0]}?" if close else "Known are " + ", ".join(known) + "."
            raise ConfigError(f"{key!r} is no setting of {config_type.__name__}. {hint}")
    return config_type(**values)


def to_dict(config: Any) -> dict[str, Any]:
    return asdict(config)


def _fits(value: Any, hint: Any) -> bool:
    allowed = get_args(hint) or (hint,)
    if value is None:
        return type(None) in allowed
    if isinstance(value, bool):
        return bool in allowed
    return isinstance(value, tuple(t for t in allowed if t is not bool)) or (
        float in allowed and isinstance(value, int)
    )


def _type_name(hint: Any) -> str:
    return " or ".join(t.__name__ for t in get_args(hint) or (hint,) if t is not type(None))
