"""What the parser of the command line says, in one line that names the option and what would be right."""

import inspect
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from resnet_lightning.runs.experiments import merged
from resnet_lightning.runs.naming import config_files, split_options

GROUPS = ("data", "model.network", "model.optimizer", "model.schedule")  # whose settings are those of a class
KEY = r"Parser key \"([\w.]+)\""
UNKNOWN = re.compile(rf"unrecognized arguments: --([\w.]+)|{KEY}.*?Option '([\w.]+)' is not accepted")
WRONG = re.compile(rf"{KEY}(?:.*{KEY})?.*?Expected an? (.+?)\. Got value: (.+?)( - |$)")
MISSING = re.compile(rf"{KEY}.*?class_path '([\w.]+)': ((?:No module named|module) .+?)( - Expected|$)")
LACKING = re.compile(rf"{KEY}.*?class_path '[\w.]*?(\w+)': the following arguments are required: ([\w, ]+)")
UNION = re.compile(rf"^{KEY}[^\"]*Union subtypes Subtypes: \[(.+?)\] Errors:.*Given value: (.+)$")
NOT_SETTINGS = ("self", "params", "seed", "help")  # the seed is seed_everything
ALMOST = 0.6  # of difflib's measure


def explain(error: Exception, names: Sequence[str], arguments: Sequence[str]) -> str:
    """The parser's error in plain words.

    Args:
        names: of the options that the parser itself knows.
        arguments: of the command line.
    """
    said = " ".join(str(error).split())
    if found := UNKNOWN.search(said):
        name = found[1] or f"{found[2]}.{found[3]}"
        known = [*names, *class_options(arguments)]
        return f"--{name}: there is no such setting; {suggestion(name, known)}"
    if found := WRONG.search(said):
        name = ".".join(filter(None, (found[1], found[2])))
        return f"--{name} {found[4]}: expected {plain_type(found[3])}"
    if found := MISSING.search(said):
        return f"--{found[1]} {found[2]}: {found[3]}"
    if found := LACKING.search(said):
        return f"--{found[1]} {found[2]}: it needs " + ", ".join(
            f"--{found[1]}.{name}" for name in found[3].split(", ")
        )
    if found := UNION.search(said):
        return f"--{found[1]} {found[3]}: expected {plain_types(found[2])}"
    return said


def suggestion(name: str, known: Sequence[str]) -> str:
    """The nearest names that exist, or all of the same group."""
    group, _, last = name.rpartition(".")
    own = {other.rpartition(".")[2]: other for other in known if other.rpartition(".")[0] == group}
    own.pop("help", None)
    near = [own[close] for close in get_close_matches(last, own, n=2, cutoff=ALMOST)]
    near += [other for other in known if other.startswith(f"{name}_") and other not in near]
    if near := near or [other for other in known if other.rpartition(".")[2] == last]:
        return f"did you mean {' or '.join(f'--{other}' for other in near)}?"
    if group and own:
        return f"{group} has {', '.join(own)}"
    return "--help lists all of them"


def class_options(arguments: Sequence[str]) -> Iterator[str]:
    """The settings of the classes that a command line and its files name, as data.batch_size."""
    config, given = merged(config_files(arguments)), dict(split_options(arguments))
    for group in GROUPS:
        chosen: Any = config
        for part in group.split("."):
            chosen = chosen.get(part) if isinstance(chosen, dict) else None
        path = given.get(group) or (chosen.get("class_path") if isinstance(chosen, dict) else chosen)
        module, _, name = str(path).rpartition(".")
        try:
            parameters = inspect.signature(getattr(import_module(module), name)).parameters
        except (ImportError, AttributeError, ValueError, TypeError):
            continue
        yield from (f"{group}.{parameter}" for parameter in parameters if parameter not in NOT_SETTINGS)


def plain_types(words: str) -> str:
    """Several types as the parser writes them, in words.

    >>> plain_types("<class 'bool'>, typing.Literal['warn'], <class 'NoneType'>")
    'bool, warn or null'
    """
    *others, last = re.findall(r"Literal\[(.+?)\]|class '(?:[a-z_]+\.)*(\w+)'|\b(list|dict)\[", words)
    said = [", ".join(filter(None, names)).replace("'", "").replace("NoneType", "null") for names in (*others, last)]
    return " or ".join(filter(None, (", ".join(dict.fromkeys(said[:-1])), said[-1])))


def plain_type(words: str) -> str:
    """A type as the parser writes it, in words.

    >>> plain_type("typing.Literal['A', 'B']"), plain_type("<class 'int'>")
    ('one of A, B', 'int')
    """
    if found := re.match(r"typing\.Literal\[(.*)\]", words):
        return "one of " + found[1].replace("'", "")
    return re.sub(r"<class '([\w.]+)'>", r"\1", words).replace("typing.", "")
