"""All errors that a user can meet, with the exit codes of commands.

    NlpseqError
    ├── RunError            1   the run itself failed (the loss diverged)
    ├── ConfigError         2   a setting is wrong, or the output exists already
    ├── MissingExtra        3   an optional dependency is not installed
    ├── BackendUnavailable  3   a backend or kernel was named that cannot run here
    ├── DataError           4   the input cannot be used (an empty corpus)
    │   └── UnknownWord     4   a word is not in the vocabulary; a KeyError, too
    ├── ArtifactError       5   a result folder or file is corrupt or does not fit
    └── ResourceError       6   disk or memory ran out, or a path cannot be written

A message is `<thing>: <problem>. <what to do, with the command or option>`. In a traceback, a note names the
arguments of Python for the options.
"""

import errno
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["DISK_FULL", "SHORTAGE", "ArtifactError", "BackendUnavailable", "ConfigError", "DataError"]
__all__ += ["MissingExtra", "NlpseqError", "ResourceError", "RunError", "UnknownWord", "advise"]
__all__ += ["missing_extra", "ways_to_pairs", "without_advice"]

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SHORTAGE = (errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE)  # of the machine: no file is corrupt

_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*)(?![\w=])")
_IN_PYTHON = {"force": "force=True", "from": "format=", "resume": "nlpseq.resume(path)"}
_IN_PYTHON |= {"method": "nlpseq.ppmi, train_svd or train_glove"}


class NlpseqError(Exception):
    """Base of all errors meant for users; anything else is a bug."""

    exit_code = 1

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        options = dict.fromkeys(_OPTION.findall(str(self)))
        arguments = [f"--{name} is {_IN_PYTHON.get(name, name.replace('-', '_') + '=')}" for name in options]
        if arguments:
            self.add_note(f"In Python, {', '.join(arguments)}.")

    def __reduce__(self) -> tuple[Any, ...]:  # because pickle calls a class with its message alone
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[NlpseqError], args: tuple[object, ...], fields: dict[str, Any]) -> NlpseqError:
    """Return a copy of an error from another process."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class RunError(NlpseqError):
    exit_code = 1


class ConfigError(NlpseqError):
    exit_code = 2


class MissingExtra(NlpseqError):
    exit_code = 3


class BackendUnavailable(NlpseqError):
    exit_code = 3


class DataError(NlpseqError):
    exit_code = 4


class UnknownWord(DataError, KeyError):
    __str__ = Exception.__str__  # because KeyError quotes its message


class ArtifactError(NlpseqError):
    exit_code = 5


class ResourceError(NlpseqError):
    exit_code = 6


def without_advice(error: Exception) -> str:
    """Return the message of an error without its last sentence, because another advice follows."""
    return str(error).rpartition(". ")[0] or str(error)


def missing_extra(use: str, library: str, extra: str | None, package: str = "") -> MissingExtra:
    """Return the error of a use whose library is not installed.

    extra: name of the extra in pyproject.toml that installs the library, if any. package: to install as well.
    """
    install = " ".join(filter(None, [extra and f'".[{extra}]"', package]))
    return MissingExtra(f"{use}: needs {library}, which is not installed. Type: pip install {install}")


def advise(settings: Mapping[str, tuple[float | None, float | None]], *others: str) -> str:
    """Return a sentence of advice: the settings that have an effect, then other ways out.

    settings: by the advice, such as "a lower --shift", the present value and the value without effect.
    """
    used = [
        f"{advice} (it is {value:,})" if isinstance(value, int) else f"{advice} (it is {value:g})"
        for advice, (value, neutral) in settings.items()
        if value is not None and value != neutral
    ]
    *first, last = [*used, *others]
    return f"Use {', '.join(first)}{', or ' * bool(first)}{last}."


def ways_to_pairs(subsample: float, option: str = "--subsample 0") -> str:
    """Return a sentence of advice for words without a training pair."""
    return advise({option: (subsample, 0.0)}, "more text", "longer sentences")
