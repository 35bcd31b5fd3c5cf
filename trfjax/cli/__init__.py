"""The console command `trfjax`: thin wrappers of the public functions."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import tyro
import yaml

from trfjax.cli.commands import COMMANDS
from trfjax.cli.common import common
from trfjax.cli.options import check_options, refusal
from trfjax.cli.streams import neutral_streams
from trfjax.errors import WriteError, perhaps, remedy
from trfjax.files import user_folder
from trfjax.reading import read_yaml

USAGE = 2
FAILED_CELLS = 3
INTERRUPTED = 130
CLOSED_PIPE = 141  # as the shell reports what SIGPIPE ends


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    keep_programs()
    code = run(list(sys.argv[1:] if argv is None else argv))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = CLOSED_PIPE
    if code == CLOSED_PIPE:  # nothing is left to be written to it at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if code == INTERRUPTED:  # the runtime may be compiling, and crash when it is ended
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def keep_programs() -> None:
    """Have JAX keep compiled programs for the next command, on this machine.

    A folder or a limit that the user has set stays. Processes of our own inherit it.
    """
    settings = {
        "JAX_COMPILATION_CACHE_DIR": user_folder() / "programs" / platform.node(),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": 0,  # small ones are many
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": -1,
    }
    for name, value in settings.items():
        os.environ.setdefault(name, str(value))


def run(argv: list[str]) -> int:
    """Run the command line; return the exit code.

    0 done, 1 internal error, 2 usage or input error, 3 finished with failed cells,
    130 interrupted, 141 nobody reads what is printed.
    """
    try:
        return _run(argv)
    except BrokenPipeError:
        return CLOSED_PIPE


def _run(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(overview())
        return 0 if argv else USAGE
    if argv[0] == "--version":
        from importlib.metadata import version

        print(version("trfjax"))
        return 0
    name, *rest = argv
    if name not in COMMANDS:
        hint = perhaps(name, COMMANDS)
        print(
            f"trfjax: unknown command {name!r}{hint}\n\n{overview()}", file=sys.stderr
        )
        return USAGE
    debug = "--debug" in rest
    rest = [word for word in rest if word != "--debug"]
    try:
        rest, quiet = common(rest)
    except ValueError as error:
        _say(f"trfjax {name}: {error}")
        return USAGE
    return _command(name, rest, debug=debug, quiet=quiet)


def _command(name: str, rest: list[str], *, debug: bool, quiet: bool) -> int:
    """Run one command and say what went wrong."""
    try:
        config = configure(name, rest)
        if config is None:
            return 0
        module = importlib.import_module(f"trfjax.cli.{name}")
        # The help before may have colours; errors are told after.
        silence = contextlib.redirect_stderr(io.StringIO())
        with neutral_streams(), silence if quiet else contextlib.nullcontext():
            return int(module.run(config) or 0)
    except SystemExit as stop:  # from the argument parser
        return stop.code if isinstance(stop.code, int) else USAGE
    except KeyboardInterrupt:
        print("\ninterrupted; what was finished is kept", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError) as error:
        if debug:
            raise
        _say(f"trfjax {name}: {_message(error)}")
        return USAGE
    except Exception as error:
        if debug:
            raise
        if problem := _no_platform():
            _say(f"trfjax {name}: {problem}")
            return USAGE
        _say(
            f"trfjax {name}: internal error: {type(error).__name__}: {error}\n"
            "Run again with --debug for the traceback."
        )
        return 1


def _say(text: str) -> None:
    with neutral_streams():
        print(text, file=sys.stderr)


def _no_platform() -> str:
    """Say that JAX has no device, where that is so."""
    chosen = os.environ.get("JAX_PLATFORMS")
    if not chosen:
        return ""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        return (
            f"JAX_PLATFORMS={chosen}: JAX finds no such device ({first}). Unset it, or "
            "install JAX for the device."
        )
    return ""


def _message(error: BaseException) -> str:
    """Return what went wrong, in the words of the command line."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        todo = "" if isinstance(error, WriteError) else f". {remedy(error.errno or 0)}"
        return f"{error.filename}: {error.strerror}{todo}"
    if isinstance(error, KeyError):
        return f"{type(error).__name__}: {error}"
    # What Python calls `root=`, the command line calls `--root`.
    return re.sub(r"\b(root|labels)=(?=[<\"'.])", r"--\1 ", str(error))


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
        "Begin with one of",
        "  trfjax demo                                  all of it on made-up cities",
        "  trfjax train --data synthetic:arden --out runs/arden",
        "  trfjax rank --sources runs/* --target synthetic:kestry --shots 20",
        "",
        "trfjax COMMAND --help shows the options, trfjax --version the version.",
        "Every command also takes",
        "  --config FILE    options from a YAML file; flags override it",
        "  --print-config   print the resolved options as YAML and stop",
        "  --quiet          print results and errors only",
        "  --verbose        also say what is read back from before",
        "  --device NAME    cpu, gpu or tpu; by default the best there is",
        "  --debug          show tracebacks",
    ]
    return "\n".join(lines)


def configure(name: str, words: list[str]) -> Any | None:
    """Return the options of a command; None when they were only to be printed."""
    command, default = COMMANDS[name], None
    # Help is given whatever the file holds.
    words = [w for word in words for w in _split(word)]
    if "--config" in words and not {"-h", "--help"} & set(words):
        at = words.index("--config")
        if at + 1 >= len(words):
            raise ValueError("--config: the name of a YAML file is missing")
        default = read_config(Path(words[at + 1]), command)
        words = words[:at] + words[at + 2 :]
    printing = "--print-config" in words
    words = [word for word in words if word != "--print-config"]
    given = {} if default is None else {"default": default}
    config = tyro.cli(command, args=words, prog=f"trfjax {name}", **given)
    check_options(config)
    if printing:
        print(yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False), end="")
        return None
    return config


def _split(word: str) -> list[str]:
    return word.split("=", 1) if word.startswith("--config=") else [word]


def read_config(path: Path, command: type[Any]) -> Any:
    """Read options from YAML; unknown keys are errors with their place."""
    if not path.is_file():
        raise FileNotFoundError(f"--config: {path}: no such file")
    fields = read_yaml(path)
    try:
        return msgspec.convert({} if fields is None else fields, command)
    except msgspec.ValidationError as error:
        problem = refusal(command, fields, error)
        raise ValueError(f"{path}: {problem}. Correct it.") from error
