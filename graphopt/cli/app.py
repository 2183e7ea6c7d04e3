"""The `graphopt` command: its subcommands, loaded when named, and how errors reach the user."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from graphopt.errors import GraphoptError

# command -> where it is, and what it is for; said here, so that a list of them imports none
COMMANDS = {
    "optimize": ("optimize", "Make a model smaller and faster."),
    "stat": ("stat", "Count operators, parameters, MACs and memory."),
    "check": ("check", "Say what is wrong with a model, and which flag helps."),
    "compare": ("compare", "Run two models on the same inputs and compare."),
    "diff": ("diff", "Say what differs between two models, and why."),
    "report": ("report", "Draw a model, or two beside each other, as a page."),
    "map": ("name_map", "Say which nodes of a result come from which of a model."),
    "bisect": ("bisect", "Find the rewrites that change what a model computes."),
    "reduce": ("reduce", "Shrink a model while a command still fails on it."),
    "explain": ("explain", "Say why rules do not fire on a model."),
    "lint": ("lint", "List what a runtime will refuse or leave in floats."),
    "passes": ("passes", "List the passes, or say what one does."),
    "rules": ("rules", "List the rules."),
    "targets": ("targets", "List the runtimes that --target knows."),
    "verify-rules": ("verify_rules", "Prove rules on models made from their patterns."),
    "completion": ("completion", "Print what lets a shell complete commands, options and names."),
}
OPT = "onnx-opt"  # the other command, which is no subcommand
COMPLETING = {"graphopt": "_GRAPHOPT_COMPLETE", OPT: "_ONNX_OPT_COMPLETE"}  # what a shell sets when it asks what completes a line
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

        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command = getattr(import_module(f"graphopt.cli.{module}"), module)
        if not isinstance(command, click.Command):
            return None
        return prepared(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does it, without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

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


def prepared(command: click.Command) -> click.Command:
    """The command; where a shell asks what completes a line, with what its parameters complete to."""
    if not any(variable in os.environ for variable in COMPLETING.values()):
        return command
    from graphopt.cli.completion import completing

    return completing(command)


def run(command: click.Command, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command; errors become one sentence on stderr and an exit status: 1 the model, 2 the words, 70 our bug.

    With GRAPHOPT_TRACEBACK set in the environment a traceback comes first.
    """
    from graphopt.cli.defaults import CommandDefaults, OptionDefaults

    known = [*COMMANDS, OPT]
    defaults = CommandDefaults(known) if isinstance(command, click.Group) else OptionDefaults(known)
    if COMPLETING.get(name, "") in os.environ:
        return _complete(command, name)
    stdout = sys.stdout
    try:
        given = None if arguments is None else list(arguments)
        status = command.main(args=given, prog_name=name, standalone_mode=False, default_map=defaults)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", INTERRUPTED)
    except GraphoptError as error:
        return _say(str(error), error.exit_status)
    except MemoryError:
        return _say("not enough memory", 1)
    except (Exception, SystemExit) as error:
        if isinstance(error, BrokenPipeError) or sys.stdout is not stdout:  # click turns it into a SystemExit and wraps stdout
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes stdout once more on its way out
            return BROKEN_PIPE
        import traceback

        traceback.print_exc()
        return _say(f"{type(error).__name__}: {error}\nThis is a bug in graphopt. Please report it with the lines above.", SOFTWARE)


def _complete(command: click.Command, name: str) -> int:
    """Answer a shell that asks what completes a line; whatever is wrong with the line, it is not the time to say so."""
    from graphopt.cli.completion import rejoin_words

    try:
        rejoin_words()
        prepared(command).main(prog_name=name, args=[])
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except Exception:
        return 1
    return 0


def _say(message: str, status: int) -> int:
    if os.environ.get("GRAPHOPT_TRACEBACK"):
        import traceback

        traceback.print_exc()
    click.echo(f"error: {message}", err=True)
    return status
