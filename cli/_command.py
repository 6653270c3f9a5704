"""What all commands share: examples under the help text, options in sections, and -q, -v, --debug."""

from collections.abc import Sequence
from typing import Any

import click

from ._console import Console
from ._memory import NUMBA, check_addresses


class WithExamples(click.Command):
    """A command whose help ends with lines a person can run, in the order given."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class Command(WithExamples):
    """A command that does something. Options that carry a `section` are listed under it.

    addresses: how many the libraries take that it loads (see _memory).
    """

    def __init__(self, *args: Any, addresses: tuple[int, int] = NUMBA, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._addresses = addresses
        self.params += [_option(*each) for each in _MESSAGE_OPTIONS]

    def invoke(self, ctx: click.Context) -> Any:
        check_addresses(self._addresses)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                sections.setdefault(getattr(param, "section", "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


_MESSAGE_OPTIONS: list[tuple[tuple[str, ...], str, str, Any]] = [
    (("-q", "--quiet"), "no messages but errors", "verbosity", -1),
    (("-v", "--verbose"), "more messages", "verbosity", 1),
    (("--debug",), "a traceback with every error", "debug", True),
]


def _option(names: Sequence[str], help: str, attribute: str, value: Any) -> click.Option:
    """A flag that sets an attribute of the console."""

    def callback(ctx: click.Context, param: click.Parameter, given: bool) -> None:
        if given:
            setattr(ctx.ensure_object(Console), attribute, value)

    return click.Option(
        [*names], is_flag=True, expose_value=False, is_eager=True, help=help, callback=callback
    )
