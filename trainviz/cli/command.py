"""What all commands share: groups of options, lists of words, errors and exit statuses."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ClassVar, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from trainviz.errors import TrainvizError

__all__ = ["OptionGroup", "UsageError", "app", "command", "tell_problem"]


class UsageError(ValueError):
    """The command line is invalid, such as for options that cannot be combined."""


class OptionGroup:
    """Options that several commands share: the fields of a dataclass, in a panel of the help.

    An option that is not given is None or False, so that the defaults of the
    Python interface apply.
    """

    panel: ClassVar[str]

    def given(self) -> dict[str, Any]:
        """Return the options that were given, as keyword arguments."""
        found = {}
        for name, value in vars(self).items():
            if name.startswith("no_") and value:
                found[name.removeprefix("no_")] = False
            elif value is not None and value is not False and value != []:
                found[name] = value
        return found


class _PlainFlags:
    """Shows no type beside options that take no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for option in params:
            if getattr(option, "is_flag", False):
                option.metavar = ""
        return params


class _Group(_PlainFlags, TyperGroup):
    pass


class _Command(_PlainFlags, TyperCommand):
    """Lets an option whose metavar ends in ``...`` take every word up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        flags = {
            flag for option in self.params if str(option.metavar).endswith("...")
            for flag in option.opts if flag.startswith("-")
        }  # fmt: skip
        return super().parse_args(ctx, list(_repeated(args, flags)))


def _repeated(words: Sequence[str], flags: set[str]) -> Iterator[str]:
    """Yield ``--levels 1 --levels 2`` for ``--levels 1 2``.

    Examples
    --------
    >>> list(_repeated(["--levels", "-1", "2", "--dark", "a"], {"--levels"}))
    ['--levels', '-1', '--levels', '2', '--dark', 'a']
    """
    current, follows = "", False
    for word in words:
        if word.startswith("-") and not _is_number(word):
            current, follows = (word, True) if word in flags else ("", False)
        elif current and not follows:
            yield current
        else:
            follows = False
        yield word


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


app = typer.Typer(
    name="trainviz", cls=_Group, help="Watch a classifier learn.", no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]}, pretty_exceptions_enable=False,
    epilog="[dim]trainviz COMMAND --help has the options of each command, and examples.[/]",
)  # fmt: skip


def command(
    panel: str, *examples: str
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Register a function as a command of its name; its docstring is the help.

    Parameters
    ----------
    panel : str
        Where the help lists it.
    *examples : str
        Without the leading ``trainviz``.

    Returns
    -------
    callable
        A decorator. A parameter that is annotated with an :class:`OptionGroup`
        brings its options; what the function returns is the exit status.
    """

    def register(function: Callable[..., int | None]) -> Callable[..., int | None]:
        taken, options = _expanded(function)

        def run(ctx: typer.Context, **given: Any) -> None:
            groups = {
                name: group(**{field.name: given.pop(field.name) for field in fields(group)})
                for name, group in taken.items()
            }
            raise typer.Exit(_status(ctx, lambda: function(**given, **groups)))

        fields = dataclasses.fields
        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        run.__signature__ = inspect.Signature([context, *options])  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in (context, *options)}
        app.command(
            function.__name__, cls=_Command, help=function.__doc__, rich_help_panel=panel,
            epilog="\n".join(["[bold]Examples[/]", *(f"trainviz {each}" for each in examples)]),
        )(run)  # fmt: skip
        return function

    return register


def _expanded(
    function: Callable[..., Any],
) -> tuple[dict[str, type[Any]], list[inspect.Parameter]]:
    """Return the groups of options of a function by name, and the parameters with theirs."""
    groups: dict[str, type[Any]] = {}
    options: list[inspect.Parameter] = []
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        kind = hints[name]
        if isinstance(kind, type) and issubclass(kind, OptionGroup):
            groups[name] = kind
            options += _options_of(kind)
        else:
            changed = {"kind": inspect.Parameter.KEYWORD_ONLY, "annotation": kind}
            options.append(parameter.replace(**changed))
    return groups, options


def _options_of(group: type[Any]) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field in dataclasses.fields(group):
        kind, option = hints[field.name].__origin__, hints[field.name].__metadata__[0]
        option.rich_help_panel = group.panel
        yield inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default,
            annotation=Annotated[kind, option],
        )  # fmt: skip


def _status(ctx: typer.Context, run: Callable[[], int | None]) -> int:
    """Run a command, and return its exit status: 0, 1 for an error, 130 if interrupted."""
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        try:
            return run() or 0
        except UsageError as error:
            ctx.fail(str(error))
        except BrokenPipeError:
            raise
        except (ImportError, OSError, ValueError, OverflowError, TrainvizError) as error:
            tell_problem(str(error))
        except MemoryError:
            tell_problem("out of memory: make the picture smaller (--figsize, --dpi)")
        except KeyboardInterrupt:
            tell_problem("interrupted")
            return 130
    return 1


def _warn(message: Warning | str, *details: object, **more: object) -> None:
    """Print a warning without its file name and line number."""
    tell_problem(str(message))


def tell_problem(message: str) -> None:
    """Print what is wrong on standard error."""
    if sys.stderr is None or not sys.stderr.isatty():
        print(f"trainviz: {message}", file=sys.stderr)
        return
    from rich.console import Console
    from rich.text import Text

    told = Text.assemble(("trainviz: ", "bold red"), message)
    Console(stderr=True).print(told, soft_wrap=True)
