"""Options out of the dataclasses of nlpseq.config, and where their values come from.

A flag is taken before the environment variable NLPSEQ_<NAME>, that before the table of the --config file,
and that before the default.
"""

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, TypeVar, get_args, get_type_hints

import click
from click.core import ParameterSource

from nlpseq.config import (
    MAX_THREADS,
    CooccurrenceConfig,
    GloveConfig,
    LMConfig,
    PPMIConfig,
    SVDConfig,
    TextConfig,
    Word2VecConfig,
)
from nlpseq.config.fields import choices, from_dict
from nlpseq.errors import ConfigError

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

TABLES: dict[type, str] = {
    TextConfig: "text",
    Word2VecConfig: "word2vec",
    CooccurrenceConfig: "cooccurrence",
    PPMIConfig: "ppmi",
    SVDConfig: "svd",
    GloveConfig: "glove",
    LMConfig: "lm",
}
TITLES: dict[type, str] = {
    TextConfig: "Text",
    Word2VecConfig: "word2vec",
    CooccurrenceConfig: "Co-occurrence",
    PPMIConfig: "PPMI",
    SVDConfig: "SVD",
    GloveConfig: "GloVe",
    LMConfig: "Language model",
}

RARE_TEXT = (
    "normalize",
    "phrase_score",
    "phrase_threshold",
    "phrase_min_count",
)  # not listed by train commands

_FLAG = 2  # rank of a value; the environment has 1, the file 0

# Keys of click.Context.meta
_GIVEN = "nlpseq.given"  # {name: value} of flags and environment variables
_FILE = "nlpseq.file"  # {table: {name: value}} of the --config file


class Duration(click.ParamType[float]):
    """A length of time in seconds, written 45, 90s, 10m or 1h30m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", value.strip())
        if not match or not any(match.groups()):
            self.fail(f"{value!r} is no length of time. Write 90s, 10m or 1h30m.", param, ctx)
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return 3600 * hours + 60 * minutes + seconds


class ConfigOption(click.Option):
    """The option for a field of a config; it tells _GIVEN of its value where a person gave one."""

    def __init__(self, each: Field[Any], hint: Any, section: str, default: Any, *, hidden: bool) -> None:
        flag = each.name.replace("_", "-")
        super().__init__(
            [f"--{flag}/--no-{flag}" if hint is bool else f"--{flag}", each.name],
            type=Duration() if each.metadata["unit"] == "seconds" else _click_type(hint),
            default=default,
            help=each.metadata["help"],
            show_default=default is not None,
            envvar=f"NLPSEQ_{each.name.upper()}",
            expose_value=False,
            callback=_keep_given,
            hidden=hidden,
        )
        self.section = section


def config_options(
    config_type: type,
    *,
    hide: Collection[str] = (),
    skip: Collection[str] = (),
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> Callable[[F], F]:
    """Decorator: an option for every field; those to `hide` work but are not listed.

    skip: those that another config of the command has an option for already.

    defaults: those that are others for this command than the config's own; pass them to resolved() too.
    """

    def decorate(function: F) -> F:
        hints = get_type_hints(config_type)
        options = [
            ConfigOption(
                each,
                hints[each.name],
                TITLES[config_type],
                defaults.get(each.name, each.default),
                hidden=each.name in hide,
            )
            for each in fields(config_type)
            if each.name not in skip
        ]
        params: list[click.Parameter] = function.__dict__.setdefault("__click_params__", [])
        params.extend(reversed(options))  # click reads them from the last decorator to the first
        return function

    return decorate


def given(config_type: type) -> dict[str, Any]:
    """The settings of this config that a person made, by whatever way."""
    meta = click.get_current_context().meta
    from_person = {
        each.name: meta[_GIVEN][each.name]
        for each in fields(config_type)
        if each.name in meta.get(_GIVEN, {})
    }
    from_file: dict[str, Any] = meta.get(_FILE, {}).get(TABLES[config_type], {})
    return from_file | from_person


def resolved(
    config_type: type[T],
    defaults: Mapping[str, Any] = MappingProxyType({}),
    *,
    either: Collection[str] = (),
) -> T:
    """The config with everything a person set; ConfigError where a value cannot be.

    either: settings that exclude each other; one by a flag sets aside one from the environment or a file.
    """
    return from_dict(config_type, {**defaults, **strongest(given(config_type), either)})


def strongest(values: Mapping[str, Any], either: Collection[str]) -> dict[str, Any]:
    """The values, of those that exclude each other only the one from the strongest source."""
    ranks = {name: _rank(name) for name in either if name in values}
    weaker = [name for name, rank in ranks.items() if rank < max(ranks.values())]
    return {name: value for name, value in values.items() if name not in weaker}


def is_flag(name: str) -> bool:
    """Whether a person typed this option."""
    return _rank(name) == _FLAG


def option_name(name: str) -> str:
    return "--" + name.replace("_", "-")


def refuse_alone(name: str, needed: str, *, is_there: bool) -> None:
    """ConfigError where a person typed a setting that changes nothing without another one."""
    if is_flag(name) and not is_there:
        option = option_name(name)
        raise ConfigError(f"{option} is for {needed} alone, and changes nothing here. Leave it out.")


def refuse_settings_of_phrases(text: TextConfig) -> None:
    for name in ("phrase_score", "phrase_threshold", "phrase_min_count"):
        refuse_alone(name, "--phrases", is_there=text.phrases > 0)


def _rank(name: str) -> int:
    """How strong the source of a value is: a flag, the environment, the file."""
    source = click.get_current_context().get_parameter_source(name)
    if source is ParameterSource.COMMANDLINE:
        return _FLAG
    return int(source is ParameterSource.ENVIRONMENT)


def _keep_given(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    assert param.name is not None
    if ctx.get_parameter_source(param.name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT):
        ctx.meta.setdefault(_GIVEN, {})[param.name] = value
    return value


def _click_type(hint: Any) -> Any:
    if options := choices(hint):
        return click.Choice(options)
    return next((each for each in get_args(hint) if each is not NoneType), hint)


def _read_file(ctx: click.Context, param: click.Parameter, file: Path | None) -> None:
    if file is None:
        return
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read as TOML: {error}. Correct the file.") from error
    for name, table in tables.items():
        _check_table(file, name, table)
    ctx.meta[_FILE] = tables


def _check_table(file: Path, name: str, table: Any) -> None:
    config_types = {table: config_type for config_type, table in TABLES.items()}
    if name not in config_types or not isinstance(table, dict):
        close = get_close_matches(name, set(config_types) - {name}, n=1)
        hint = (
            f"Did you mean [{close[0]}]?"
            if close
            else f"Known are {', '.join(f'[{t}]' for t in config_types)}."
        )
        raise ConfigError(f"{file}: {name!r} is no table of settings. {hint}")
    try:
        from_dict(config_types[name], table)
    except ConfigError as error:
        raise ConfigError(f"{file}, table [{name}]: {error}") from error


config_file_option = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.toml",
    expose_value=False,
    is_eager=True,
    callback=_read_file,
    help="settings in tables "
    + ", ".join(f"[{table}]" for table in TABLES.values())
    + ", such as min_count = 3; variables such as NLPSEQ_MIN_COUNT come before the file, options before both",
)


def _named(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """A place that can be made: `-o ""`, as of a variable that is not set, is the current folder itself."""
    if path is not None and not path.name:
        raise click.BadParameter(f"{path} has no name of its own. Give the folder that is to be made one.")
    return path


output_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    callback=_named,
    metavar="DIR",
    help="where to write [default: named after the corpus, in the current folder]",
)

force_option = click.option("--force", is_flag=True, help="replace an existing output")

json_option = click.option("--json", "as_json", is_flag=True, help="answer in JSON")

resume_option = click.option(
    "--resume", is_flag=True, help="go on with an unfinished run: of this corpus, or named itself"
)


threads_option = click.option(
    "--threads",
    type=click.IntRange(1, MAX_THREADS),
    envvar="NLPSEQ_THREADS",
    help="default: all cores this process may use",
)


def checkpoint_option(default: str) -> Callable[[F], F]:
    """Decorator: --checkpoint-every, the parameter checkpoint_every."""
    return click.option(
        "--checkpoint-every",
        type=Duration(),
        default=default,
        show_default=True,
        help="time between checkpoints",
    )
