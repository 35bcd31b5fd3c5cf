"""The console command `trfjax`: thin wrappers of the public functions."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import tyro
import yaml

from trfjax.cli.commands import COMMANDS

USAGE = 2
FAILED_CELLS = 3
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(list(sys.argv[1:] if argv is None else argv)))


def run(argv: list[str]) -> int:
    """Run the command line; return the exit code.

    0 done, 1 internal error, 2 usage or input error, 3 finished with failed cells,
    130 interrupted.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(overview())
        return 0 if argv else USAGE
    if argv[0] == "--version":
        from importlib.metadata import version

        print(version("trfjax"))
        return 0
    name, *rest = argv
    if name not in COMMANDS:
        print(f"trfjax: unknown command {name!r}\n\n{overview()}", file=sys.stderr)
        return USAGE
    debug = "--debug" in rest
    rest = [word for word in rest if word != "--debug"]
    try:
        config = configure(name, rest)
        if config is None:
            return 0
        module = importlib.import_module(f"trfjax.cli.{name}")
        return int(module.run(config) or 0)
    except SystemExit as stop:  # from the argument parser
        return stop.code if isinstance(stop.code, int) else USAGE
    except KeyboardInterrupt:
        print("\ninterrupted; what was finished is kept", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError) as error:
        if debug:
            raise
        print(f"trfjax {name}: {error}", file=sys.stderr)
        return USAGE
    except Exception as error:
        if debug:
            raise
        print(
            f"trfjax {name}: internal error: {type(error).__name__}: {error}\n"
            "Run again with --debug for the traceback.",
            file=sys.stderr,
        )
        return 1


def overview() -> str:
    """Return the list of commands."""
    width = max(map(len, COMMANDS))
    lines = [
        "usage: trfjax COMMAND [OPTIONS]",
        "",
        "Which trained network transfers best, answered before any fine-tuning.",
        "",
    ]
    for name, command in COMMANDS.items():
        first = (command.__doc__ or "").strip().splitlines()[0]
        lines.append(f"  {name.ljust(width)}  {first}")
    lines += [
        "",
        "trfjax COMMAND --help shows the options. Every command also takes",
        "  --config FILE    options from a YAML file; flags override it",
        "  --print-config   print the resolved options as YAML and stop",
        "  --debug          show tracebacks",
    ]
    return "\n".join(lines)


def configure(name: str, words: list[str]) -> Any | None:
    """Return the options of a command; None when they were only to be printed."""
    command, default = COMMANDS[name], None
    if "--config" in words:
        at = words.index("--config")
        if at + 1 >= len(words):
            raise ValueError("--config: the name of a YAML file is missing")
        default = read_config(Path(words[at + 1]), command)
        words = words[:at] + words[at + 2 :]
    printing = "--print-config" in words
    words = [word for word in words if word != "--print-config"]
    given = {} if default is None else {"default": default}
    config = tyro.cli(command, args=words, prog=f"trfjax {name}", **given)
    if printing:
        print(yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False), end="")
        return None
    return config


def read_config(path: Path, command: type[Any]) -> Any:
    """Read options from YAML; unknown keys are errors with their place."""
    try:
        return msgspec.convert(yaml.safe_load(path.read_text()) or {}, command)
    except msgspec.ValidationError as error:
        raise ValueError(f"{path}: {error}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error
