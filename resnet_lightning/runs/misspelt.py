"""What the parser of the command line says, in one line that names the option and what would be right."""

import inspect
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from resnet_lightning.runs.experiments import merged
from resnet_lightning.runs.identity import flat
from resnet_lightning.runs.naming import config_files, split_options

GROUPS = ("data", "model.network", "model.optimizer", "model.schedule")  # whose settings are those of a class
KEY = r"Parser key \"([\w.]+)\""
UNKNOWN = re.compile(
    rf"unrecognized arguments: --(?P<option>[\w.-]+)|(?:{KEY}.*?)?Option '([\w.]+)' is not accepted|"
    r"Group '([\w.]+)' does not accept option '([\w.]+)'"
)
CLASSLESS = re.compile(rf"{KEY}.*class_path 'torch\.nn\.Module': Option '[\w.]+' is not accepted")
STRAY = re.compile(r"unrecognized arguments: ([^-]\S*\.ya?ml)")
NOT_GIVEN = re.compile(r"the following arguments are required: ((?:model\.|data).+)")
NAMELESS = re.compile(
    rf"{KEY}(?!.*(?:float|'bool')).*?(?:import path string: |Unable to load config ')(.+?)'?( - | Ex| G|$)"
)
NOT_THERE = re.compile(rf"{KEY}.*: ((?:No module named|module) .+?)\. Got value: ([\w.]+)$")
WRONG = re.compile(rf"{KEY}(?:.*{KEY})?.*?Expected an? (.+?)\. Got value: (?!Namespace)(.+?)( - |$)")
MISSING = re.compile(rf"{KEY}.*?class_path '([\w.]+)': ((?:No module named|module) .+?)( - Expected|$)")
LACKING = re.compile(rf"{KEY}.*?class_path '[\w.]*?(\w+)': the following arguments are required: ([\w, ]+)")
UNION = re.compile(
    rf"^{KEY}(?:.*{KEY})?[^\"]*Union subtypes Subtypes: \[(.+?)\] Errors:.*Given value: (.+?)(?:\. Got value: .*)?$"
)
EXAMPLE = "--config experiments/digits/base.yaml --config experiments/digits/resnet20.yaml"
NOT_SETTINGS = ("self", "params", "seed", "help")  # the seed is seed_everything
ALMOST = 0.6  # of difflib's measure


def explain(error: Exception, names: Sequence[str], arguments: Sequence[str]) -> str:
    """The parser's error in plain words.

    Args:
        names: of the options that the parser itself knows.
        arguments: of the command line.
    """
    said = " ".join(str(error).split())
    if found := CLASSLESS.search(said):
        return f"no file says which class {found[1]} is: the experiment's base.yaml comes first, as in {EXAMPLE}"
    if found := NOT_GIVEN.search(said):
        return f"{found[1]}: not given; name the files of an experiment, such as {EXAMPLE}"
    if found := STRAY.search(said):
        return f"{found[1]}: a configuration file is named by --config {found[1]}"
    if found := UNKNOWN.search(said):
        name = found["option"] or ".".join(filter(None, found.groups()[1:])).replace("init_args.", "")
        known = [*names, *class_options(arguments)]
        return f"{told(name, arguments)}: there is no such setting; {suggestion(name, known)}"
    if found := NOT_THERE.search(said):
        return f"{told(found[1], arguments, found[3])}: {found[2]}"
    if found := NAMELESS.search(said):
        return f"{told(found[1], arguments, found[2])}: expected a full name, such as module.Class"
    if found := WRONG.search(said):
        name = ".".join(filter(None, (found[1], found[2])))
        return f"{told(name, arguments, found[4])}: expected {plain_type(found[3])}"
    if found := MISSING.search(said):
        return f"{told(found[1], arguments, found[2])}: {found[3]}"
    if found := LACKING.search(said):
        return f"--{found[1]} {found[2]}: it needs " + ", ".join(
            f"--{found[1]}.{name}" for name in found[3].split(", ")
        )
    if found := UNION.search(said):
        name = ".".join(filter(None, (found[1], found[2])))
        return f"{told(name, arguments, found[4])}: expected {plain_types(found[3])}"
    return said


def told(name: str, arguments: Sequence[str], value: str = "") -> str:
    """A setting as an option, and the last file that holds it where the command line itself does not."""
    words = f"--{name} {value}".strip()
    given = {option.replace("init_args.", "").rstrip("+"): text for option, text in split_options(arguments)}
    if name in given and value in ("", given[name]):
        return words
    for path in reversed(config_files(arguments)):
        keys = [key.replace("init_args.", "") for key, _ in flat(merged([path]))]
        if any(key.removesuffix(".class_path") == name or key.startswith(f"{name}.") for key in keys):
            return f"{words} (in {path})"
    return words


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
    return (
        re.sub(r"<class '([\w.]+)'>", r"\1", words).replace("typing.", "").replace("collections.abc.Sequence", "list")
    )
