"""Every option of every command, with values that it does not take."""

import math
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from trfjax.cli import USAGE, run
from trfjax.cli.commands import COMMANDS, Rank, Train
from trfjax.cli.options import allowed, check_options

NEEDED: dict[str, dict[str, Any]] = {
    "extract": {"model": "x"},
    "predict": {"model": "x", "images": ("x",)},
    "sweep": {"file": "x"},
}
NEEDED |= {name: {"source": "x"} for name in ("finetune", "adapt")}


def wrong(kind):
    """Return values that an option of this type must refuse."""
    if isinstance(kind, inspect.UnionType):
        parts = [p for p in kind.types if not isinstance(p, inspect.NoneType)]
        numbers = [p for p in parts if not isinstance(p, inspect.LiteralType)]
        return wrong((numbers or parts)[0])
    if isinstance(kind, inspect.IntType):
        return [kind.ge - 1, kind.le + 1, -(10**30), 1.5, math.nan, True]
    if isinstance(kind, inspect.FloatType):
        bounds = [b for b in (kind.gt, kind.ge) if b is not None]
        below = [-0.5 if b == 0 else b - 1 for b in bounds]
        above = [] if kind.le is None else [kind.le + 0.1]
        exact = [] if kind.gt is None else [kind.gt]
        return [math.inf, math.nan, -math.inf, *below, *above, *exact, "x"]
    if isinstance(kind, inspect.LiteralType):
        return ["zzz", "", 3]
    if isinstance(kind, inspect.StrType):
        return ["", "a\0b", 3]
    if isinstance(kind, inspect.VarTupleType):
        items = wrong(kind.item_type)
        return [(item,) for item in items] + ([()] if kind.min_length else [])
    if isinstance(kind, inspect.TupleType):
        rest = (32,) * (len(kind.item_types) - 1)
        return [(item, *rest) for item in wrong(kind.item_types[0])] + [(1,)]
    assert isinstance(kind, inspect.BoolType)
    return ["yes", 1]


def options():
    for name, command in COMMANDS.items():
        for field in msgspec.structs.fields(command):
            yield pytest.param(name, field.name, inspect.type_info(field.type))


OPTIONS = list(options())


def flag(option):
    return "--" + option.replace("_", "-")


def given(option, value):
    """Return the words of an option; the file of a sweep stands for itself."""
    values = words_of(value)
    return values if option == "file" else [flag(option), *values]


def words_of(value):
    return [str(v) for v in value] if isinstance(value, tuple) else [str(value)]


@pytest.mark.parametrize(("command", "option", "kind"), OPTIONS)
def test_no_option_takes_what_it_cannot_use(command, option, kind):
    for value in wrong(kind):
        config = COMMANDS[command](**NEEDED.get(command, {}) | {option: value})
        with pytest.raises(ValueError, match=flag(option)) as caught:
            check_options(config)
        text = str(caught.value)
        assert all(part in text for part in map(repr_of, parts(value))), text
        assert text.count(" ") > 2  # it goes on to say what is taken


def parts(value):
    return value if isinstance(value, tuple) else (value,)


def repr_of(value):
    return repr(value) if isinstance(value, str) else str(value)


@pytest.mark.parametrize(("command", "option", "kind"), OPTIONS)
def test_the_command_line_refuses_before_any_work(
    command, option, kind, tmp_path, monkeypatch, capsys
):
    if isinstance(kind, inspect.BoolType):
        return  # a flag has no value
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.import_module", pytest.fail)  # of the command
    needed = {k: v for k, v in NEEDED.get(command, {}).items() if k != option}
    words = [w for name, v in needed.items() for w in given(name, v)]
    value = wrong(kind)[0]
    assert run([command, *words, *given(option, value)]) == USAGE
    said = " ".join(capsys.readouterr().err.split())
    assert flag(option) in said and "Traceback" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("command", "option", "kind"), OPTIONS)
def test_defaults_are_taken(command, option, kind):
    check_options(COMMANDS[command](**NEEDED.get(command, {})))
    assert allowed(kind)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch_size: 0", "batch_size: 0 is not a whole number from 1 to"),
        ("learning_rate: .inf", "--learning-rate: inf is not finite"),
        ("learning_rate: '0.1'", "learning_rate: '0.1' is not a number above 0"),
        ("size: [0, 5]", "size: 0 5 is not 2 values, each a whole number from 1"),
        ("seed: -1", "seed: -1 is not a whole number from 0 to 4294967295"),
        ("seed: 1\nseed: 2", "the key 'seed' is given twice"),
        ("resume: maybe", "resume: 'maybe' is not true or false"),
    ],
)
def test_a_file_is_held_to_the_same(text, message, tmp_path, capsys):
    path = tmp_path / "train.yaml"
    path.write_text(text)
    assert run(["train", "--config", str(path)]) == USAGE
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


def test_names_are_given_once():
    with pytest.raises(ValueError, match=r"--metrics: 'leep' 'leep' names one twice"):
        check_options(Rank(metrics=("leep", "leep")))
    check_options(Train(size=(64, 64)))  # two equal sides are two values
