"""The package's rooms: which may import which, and what a command may import at all."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import resnet_lightning

PACKAGE = Path(resnet_lightning.__file__).parent
# From the top floor down: a module imports from its own room and from those below, never from one beside it or above.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("tracking", "benchmarks"),
    ("studies",),
    ("evaluation", "reporting"),
    ("callbacks",),
    ("runs",),
    ("training",),
    ("data", "schedules"),
    ("networks",),
    ("compat",),
    ("errors",),
    ("files",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = ("torch", "lightning", "torchvision", "wandb")


def arrows() -> Iterator[tuple[str, str, str]]:
    """Each import of a module of this package in another room: file and line, its room, and the imported one's."""
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            for module in filter(None, modules):
                package, _, rest = module.partition(".")
                room, own = rest.partition(".")[0], place.parts[0].removesuffix(".py")
                if package == PACKAGE.name and room and room != own:
                    yield f"{place}:{node.lineno}", own, room


def test_every_room_has_its_floor() -> None:
    rooms = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms - {"__init__"} == FLOOR.keys()
    assert len(list(PACKAGE.glob("[!_]*.py"))) <= 6


def test_imports_point_down() -> None:
    wrong = [f"{place} imports {room}" for place, own, room in arrows() if FLOOR[own] >= FLOOR[room]]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        ("--help", (*HEAVY, "numpy", "matplotlib", "yaml")),
        ("nonsense", (*HEAVY, "numpy", "matplotlib", "yaml")),
        ("study --help", HEAVY),
        ("report demo", HEAVY),
        ("keep demo", HEAVY),
        ("plan", HEAVY),
        ("study demo --print", HEAVY),
    ],
)
def test_a_command_imports_what_it_needs(workplace: Path, arguments: str, refused: tuple[str, ...]) -> None:
    code = "import sys; from resnet_lightning.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
    code += "print('modules', *sys.modules)"
    command = [sys.executable, "-c", code, *arguments.split()]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1].split()
    assert said[0] == "modules" and not set(refused) & set(said)
