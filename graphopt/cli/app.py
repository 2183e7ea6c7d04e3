"""The `graphopt` command: its subcommands, loaded when named, and how errors reach the user."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from graphopt.errors import GraphoptError

# command -> where it is; each module imports click and little else before its command runs
COMMANDS = {
    "optimize": "optimize",
    "compare": "compare",
    "explain": "explain",
    "lint": "lint",
    "passes": "passes",
    "rules": "rules",
    "targets": "targets",
    "verify-rules": "verify_rules",
}
INTERRUPTED = 130  # 128 + SIGINT, as shells count
BROKEN_PIPE = 141  # 128 + SIGPIPE
SOFTWARE = 70  # EX_SOFTWARE of sysexits.h


class LazyGroup(click.Group):
    """A group whose commands are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        from importlib import import_module

        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = getattr(import_module(f"graphopt.cli.{module}"), module)
        return command if isinstance(command, click.Command) else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the near name for a command that is not there."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            from graphopt.errors import nearest

            raise click.UsageError(f"no command is called {args[0]!r}{nearest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="graphopt", message="%(prog)s %(version)s")
def graphopt() -> None:
    """Make ONNX models smaller and faster, without changing what they compute.

    \b
    graphopt optimize model.onnx -o smaller.onnx --verify
    """


def run(command: click.Command, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command; errors become one sentence on stderr and an exit status: 1 the model, 2 the words, 70 our bug.

    With GRAPHOPT_TRACEBACK set in the environment a traceback comes first.
    """
    try:
        status = command.main(args=None if arguments is None else list(arguments), prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", INTERRUPTED)
    except (BrokenPipeError, SystemExit):  # click turns the one into the other, and nothing else
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes stdout once more on its way out
        return BROKEN_PIPE
    except GraphoptError as error:
        return _say(str(error), error.exit_status)
    except MemoryError:
        return _say("not enough memory", 1)
    except Exception as error:
        import traceback

        traceback.print_exc()
        return _say(f"{type(error).__name__}: {error}\nThis is a bug in graphopt. Please report it with the lines above.", SOFTWARE)


def _say(message: str, status: int) -> int:
    if os.environ.get("GRAPHOPT_TRACEBACK"):
        import traceback

        traceback.print_exc()
    click.echo(f"error: {message}", err=True)
    return status
