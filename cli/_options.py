"""Options of several commands, options of the config dataclasses, and the precedence of their values.

A setting comes from the first of: the command line, the environment variable NLPSEQ_<NAME>, the table of the
--config file, the default.
"""

import os
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

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
from nlpseq.config.fields import Bounds, from_dict
from nlpseq.errors import ConfigError, DataError

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

SECTIONS: dict[type, tuple[str, str]] = {  # table of the --config file, title in help texts
    TextConfig: ("text", "Text"),
    Word2VecConfig: ("word2vec", "word2vec"),
    CooccurrenceConfig: ("cooccurrence", "Co-occurrence"),
    PPMIConfig: ("ppmi", "PPMI"),
    SVDConfig: ("svd", "SVD"),
    GloveConfig: ("glove", "GloVe"),
    LMConfig: ("lm", "Language model"),
}
PHRASE_DETAILS = ("phrase_score", "phrase_threshold", "phrase_min_count")
RARE_TEXT = (  # hidden in the help of train commands
    "word_rule",
    *PHRASE_DETAILS,
)

# Keys of click.Context.meta
_FROM_PERSON = "nlpseq.from_person"  # {name: value}, of the command line and the environment
_FROM_FILE = "nlpseq.from_file"  # {table: {name: value}}


class Duration(click.ParamType[float]):
    """A duration in seconds, written 45, 90s, 10m or 1h30m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", value.strip())
        if not match or not any(match.groups()):
            self.fail(f"{value!r} is not a duration. Write 90s, 10m or 1h30m.", param, ctx)
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return 3600 * hours + 60 * minutes + seconds


class FileText(click.ParamType[str]):
    """The text of a file in UTF-8, named on the command line."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return Path(value).read_text("utf-8-sig")
        except (OSError, ValueError) as error:
            raise DataError(
                f"{value}: not readable as UTF-8 ({error}). Name a text file in UTF-8."
            ) from error


class Bounded(click.FloatRange):
    """A number within the bounds of a config field. The bounds are part of --help.

    parse: type of the number, such as click.INT.
    """

    def __init__(self, parse: click.ParamType[Any], bounds: Bounds) -> None:
        super().__init__(
            bounds.ge if bounds.gt is None else bounds.gt,
            bounds.le if bounds.lt is None else bounds.lt,
            min_open=bounds.gt is not None,
            max_open=bounds.lt is not None,
        )
        self.name = parse.name
        self._parse, self._bounds = parse, bounds

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = self._parse.convert(value, param, ctx)
        if not self._bounds.contain(number):
            option = param.opts[0] if param else "value"
            raise ConfigError(
                f"{option}: {value} is not valid. The value must be {self._bounds.wanted(number)}."
            )
        return number


class Words(click.ParamType[str]):
    """Words of a language, typed in UTF-8 whatever the locale says."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            typed = os.fsencode(value)  # the bytes of the shell, which Python decoded by the locale
        except UnicodeEncodeError:  # not from a shell
            return str(value)
        return typed.decode("utf-8", "surrogateescape")


def integer(ge: int, le: int | None = None) -> Bounded:
    """Return the click type of integers from `ge` to `le`."""
    return Bounded(click.INT, Bounds(ge=ge, le=le))


class ConfigOption(click.Option):
    """The option of a config field, with a value for explicit_settings, not for the command function."""

    def __init__(self, each: Field[Any], hint: Any, section: str, default: Any, *, hidden: bool) -> None:
        flag = option_name(each.name)
        super().__init__(
            [f"{flag}/--no-{flag[2:]}" if hint is bool else flag, each.name],
            type=_click_type(each, hint),
            default=default,
            help=each.metadata["help"],
            show_default=default is not None,
            envvar=f"NLPSEQ_{each.name.upper()}",
            expose_value=False,
            callback=_keep_explicit,
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
    """Return a decorator that adds an option for every field.

    hide: fields to omit in --help. skip: fields with an option of another config already.
    defaults: defaults of the command instead of the defaults of the config; build_config needs the same.
    """

    def decorate(function: F) -> F:
        hints = get_type_hints(config_type)
        options = [
            ConfigOption(
                each,
                hints[each.name],
                SECTIONS[config_type][1],
                defaults.get(each.name, each.default),
                hidden=each.name in hide,
            )
            for each in fields(config_type)
            if each.name not in skip
        ]
        params: list[click.Parameter] = function.__dict__.setdefault("__click_params__", [])
        params.extend(reversed(options))  # because click reads from the last decorator to the first
        return function

    return decorate


def setting_options(config_type: type) -> Callable[[F], F]:
    """Return a decorator that adds a plain option for every field, an argument of the command function."""
    hints = get_type_hints(config_type)
    options: list[Callable[[F], F]] = [
        click.option(
            option_name(each.name),
            type=_click_type(each, hints[each.name]),
            default=each.default,
            help=each.metadata["help"],
        )
        for each in fields(config_type)
    ]
    return option_group(*options)


def explicit_settings(*config_types: type) -> dict[str, Any]:
    """Return the explicit settings of configs, without the defaults."""
    meta, found = click.get_current_context().meta, dict[str, Any]()
    for config_type in config_types:
        names = {each.name for each in fields(config_type)}
        found |= meta.get(_FROM_FILE, {}).get(SECTIONS[config_type][0], {})
        found |= {name: value for name, value in meta.get(_FROM_PERSON, {}).items() if name in names}
    return found


def build_config(
    config_type: type[T],
    defaults: Mapping[str, Any] = MappingProxyType({}),
    *,
    exclusive: Collection[str] = (),
) -> T:
    """Return the config with the user's settings. Raises ConfigError for an invalid value.

    exclusive: settings to reduce to the setting of the highest precedence.
    """
    settings = explicit_settings(config_type)
    order = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)  # then the file
    sources = {name: click.get_current_context().get_parameter_source(name) for name in exclusive}
    ranks = {
        name: order.index(source) if source in order else len(order)
        for name, source in sources.items()
        if name in settings
    }
    weaker = [name for name, rank in ranks.items() if rank > min(ranks.values())]
    kept = {name: value for name, value in settings.items() if name not in weaker}
    return from_dict(config_type, {**defaults, **kept})


def build_text_config(defaults: Mapping[str, Any] = MappingProxyType({})) -> TextConfig:
    """Return the text settings. Raises ConfigError if they do not fit together, or the corpus is encoded."""
    try:
        config = build_config(TextConfig, defaults)
        require_with("vocab_size", "--tokenizer bpe", is_there=config.tokenizer == "bpe")
        for name in PHRASE_DETAILS:
            require_with(name, "--phrases", is_there=config.phrases > 0)
        return config
    except ConfigError as error:
        from nlpseq.training.provenance import dataset_dir

        folder = dataset_dir(click.get_current_context().params["sources"])
        if folder is None:
            raise
        options = ", ".join(map(option_name, explicit_settings(TextConfig)))
        raise ConfigError(
            f"{folder}: is encoded already, so no option of the text has an effect. Leave out {options}, or "
            "name the text to encode the text again."
        ) from error


def is_typed(name: str) -> bool:
    """Return True if the user typed the option on the command line."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def option_name(name: str) -> str:
    """Return the option of a setting: --min-count for min_count."""
    return "--" + name.replace("_", "-")


def require_with(name: str, needed: str, *, is_there: bool) -> None:
    """Raise ConfigError for an option typed without the one that it needs."""
    if is_typed(name) and not is_there:
        option = option_name(name)
        raise ConfigError(f"{option}: has no effect without {needed}. Add {needed}, or leave out {option}.")


def _keep_explicit(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    assert param.name is not None
    if ctx.get_parameter_source(param.name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT):
        ctx.meta.setdefault(_FROM_PERSON, {})[param.name] = value
    return value


def _click_type(each: Field[Any], hint: Any) -> Any:
    if get_origin(hint) is Literal:
        return click.Choice(get_args(hint))
    if each.metadata["unit"] == "file":
        return FileText()
    plain = next((part for part in get_args(hint) if part is not NoneType), hint)
    if plain not in (int, float):
        return plain
    parse = click.INT if plain is int else Duration() if each.metadata["unit"] == "seconds" else click.FLOAT
    bounds: Bounds = each.metadata["bounds"]
    return Bounded(parse, bounds) if bounds != Bounds() else parse


def _read_file(ctx: click.Context, param: click.Parameter, file: Path | None) -> None:
    """Read and check the tables of the --config file."""
    if file is None:
        return
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: not readable as TOML ({error}). Correct the file.") from error
    config_types = {known: config_type for config_type, (known, _) in SECTIONS.items()}
    for name, table in tables.items():
        if name not in config_types or not isinstance(table, dict):
            close = get_close_matches(name, set(config_types) - {name}, n=1)
            known = ", ".join(f"[{each}]" for each in config_types)
            hint = f"Did you mean [{close[0]}]?" if close else f"Use one of {known}."
            raise ConfigError(f"{file}: {name} is not a table of settings. {hint}")
        try:
            from_dict(config_types[name], table)
        except ConfigError as error:
            raise ConfigError(f"{file}, table [{name}]: {error}") from error
    ctx.meta[_FROM_FILE] = tables


config_file_option = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.toml",
    expose_value=False,
    is_eager=True,
    callback=_read_file,
    help="file with settings such as min_count = 3 in the tables "
    + ", ".join(f"[{table}]" for table, _ in SECTIONS.values())
    + "; variables such as NLPSEQ_MIN_COUNT override the file, options override both",
)


def _refuse_nameless(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a path without a last part, such as `-o ""` of an empty shell variable."""
    if path is not None and not path.name:
        raise click.BadParameter(f"{path} has no name of its own. Give a path that ends in a name.")
    return path


output_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    callback=_refuse_nameless,
    metavar="DIR",
    help="output folder [default: name of the corpus, in the current folder]",
)

required_output_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    callback=_refuse_nameless,
    metavar="DIR",
    help="output folder",
)

force_option = click.option("--force", is_flag=True, help="overwrite an existing output")

json_option = click.option("--json", "as_json", is_flag=True, help="print the answer as JSON")

threads_option = click.option(
    "--threads",
    type=integer(1, MAX_THREADS),
    envvar="NLPSEQ_THREADS",
    help="threads [default: all cores that this process may use]",
)

corpus_argument = click.argument("sources", metavar="CORPUS...", nargs=-1, required=True)

model_argument = click.argument("model", type=click.Path(path_type=Path))

lm_argument = click.argument("model", metavar="LM", type=click.Path(path_type=Path))


def option_group(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return a decorator that adds several options, in the order of the help."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


encoding_options = option_group(
    click.option(
        "--encoding",
        default=TextConfig().encoding,
        metavar="NAME",
        help="encoding of a text that has no byte order mark and is not UTF-8",
    ),
    click.option(
        "--encoding-errors",
        type=click.Choice(["replace", "strict"]),
        help="replace invalid bytes, or fail [default: as for the corpus of LM]",
    ),
)


cluster_options = option_group(
    click.option(
        "--cluster",
        metavar="ADDRESS",
        help="work on a Ray cluster: local (on this machine, for this command), auto, or ray://HOST:PORT",
    ),
    click.option(
        "--workers",
        metavar="N",
        help="cores of the cluster to use, or a least and a most, such as 2:8 [default: all]",
    ),
    click.option(
        "--plan",
        is_flag=True,
        help="with --cluster, show how the work is cut, the memory of a worker and what travels, and end",
    ),
)


def training_options(checkpoint_every: str) -> Callable[[F], F]:
    """Return a decorator that adds corpus, output and checkpoints of a train command."""
    return option_group(
        corpus_argument,
        output_option,
        force_option,
        click.option(
            "--resume",
            is_flag=True,
            help="continue the unfinished run of this corpus, or the run that CORPUS names",
        ),
        click.option(
            "--checkpoint-every",
            type=Duration(),
            default=checkpoint_every,
            help="time between checkpoints",
        ),
        config_file_option,
        cluster_options,
    )


loading_options = option_group(
    click.option(
        "--lenient",
        is_flag=True,
        help="of a vector file that is truncated or whose first line is wrong, load the vectors there are",
    ),
    click.option(
        "--load-top", type=integer(1), metavar="N", help="load the first N vectors only [default: all]"
    ),
    click.option(
        "--verify",
        is_flag=True,
        help="compare all files of a folder with their checksums, not only the first time and after a change",
    ),
    click.option(
        "--no-oov",
        is_flag=True,
        help="refuse unseen words, also if the vectors have n-grams to make vectors of them",
    ),
)

vector_options = option_group(
    loading_options,
    click.option(
        "--matrix",
        type=click.Choice(["w", "w+c"]),
        default="w",
        help="word vectors, or word vectors plus context vectors",
    ),
    click.option("--center", is_flag=True, help="subtract the mean vector"),
    click.option(
        "--remove-components",
        type=integer(0),
        default=0,
        metavar="N",
        help="remove the N principal components of largest variance",
    ),
)

source_options = option_group(
    click.option("--column", help="column or key with the text [default: as the model was trained]"),
    click.option(
        "--format",
        type=click.Choice(get_args(get_type_hints(TextConfig)["format"])),
        default="auto",
        help="format of the files; auto recognizes the content",
    ),
)

machine_options = option_group(
    threads_option,
    click.option("--device", default="cpu", help="device of the model: cpu, cuda or cuda:N"),
)
