"""What README and docs/ tell a reader to do: every command, file, setting and link that they name is there."""

import ast
import contextlib
import io
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY

from resnet_lightning.cli import main
from resnet_lightning.studies import choose, find_study

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
IN_LINE = re.compile(r"`((?:make|(?:\.venv/bin/)?resnet-lightning) [^`\n]+)`")
RUN = ("fit", "validate", "test", "predict", "lesions", "summary")  # all of them take the options of one run
OTHERS = ("wandb", "pip", "#")  # commands that are not ours


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the runs of results/ in runs/, in which pages write the files that they show."""
    place = tmp_path_factory.mktemp("checkout")
    shutil.copytree(REPOSITORY / "experiments", place / "experiments")
    shutil.copytree(REPOSITORY / "results", place / "runs")
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "resnet_lightning"):
        (place / name).symlink_to(REPOSITORY / name)
    return place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_can_be_done(page: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        language, block = match.groups()
        if language in ("yaml", "python"):
            yaml.safe_load(block) if language == "yaml" else ast.parse(block)
            write_shown(block, text[: match.start()].rstrip().rpartition("\n\n")[2])
        elif language != "text":
            for line in lines_of(block):
                if language or line.startswith("make "):
                    check_command(line)
    for line in IN_LINE.findall(BLOCK.sub("", text)):
        check_command(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if not target.startswith("https://"):
            path, _, heading = target.partition("#")
            other = page.parent / path if path else page
            assert other.exists(), target
            assert not heading or heading in headings(other), target


def test_every_page_is_in_the_readme() -> None:
    readme = PAGES[0].read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"](docs/{page.name})" not in readme] == []


def test_experiments_name_files_that_are_there() -> None:
    for path in (REPOSITORY / "experiments").rglob("*.yaml"):
        comments = " ".join(re.findall(r"# *(.*)", path.read_text(encoding="utf-8")))
        for named in re.findall(r"experiments/[\w/]+\.\w+", comments):
            assert (REPOSITORY / named).exists(), f"{path} names {named}"


def write_shown(block: str, before: str) -> None:
    """Writes a file that a page shows: its path is the comment in its first line, or stands in the paragraph before."""
    named = re.findall(r"\A# ([\w/]+\.\w+)\n", block) or re.findall(r"`([\w/]+\.(?:py|yaml))`", before)
    if named:
        path = Path(named[-1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block, encoding="utf-8")


def lines_of(block: str) -> list[str]:
    """The commands of a block, each on one line and without its comment."""
    joined = block.replace("\\\n", " ").splitlines()
    return [line for line in (re.sub(r"\s+#.*", "", line).strip() for line in joined) if line]


def check_command(line: str) -> None:
    """Fails where a command, one of its options, or a file of the repository that it names does not exist."""
    for named in re.findall(r"(?:experiments|tests|docs)/[\w./]+\w", line):
        assert Path(named).exists() or (REPOSITORY / named).exists(), f"{line}: {named}"
    words = shlex.split(line)
    while words and re.fullmatch(r"[A-Z]+=.*", words[0]):  # variables of a script
        words.pop(0)
    match words:
        case ["make", *rest]:
            check_make(line, rest)
        case [program, command, *rest] if program.endswith("resnet-lightning"):
            check_ours(line, command, rest)
        case ["sbatch", script, *_] | [script, *_] if (REPOSITORY / script).is_file():
            pass
        case _:
            assert words[0] in OTHERS, f"{line}: not a command that this test knows"


def check_make(line: str, words: list[str]) -> None:
    """A target that exists, with variables that the Makefile knows, and the command that make would give."""
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for name in re.findall(r"\b([A-Z]+)=", line):
        assert f"$({name})" in makefile or f"$({name}:" in makefile, f"{line}: no variable is named {name}"
    done = subprocess.run(["make", "-n", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"{line}: {done.stderr}"
    for given in re.findall(r"python -m resnet_lightning (.*)", done.stdout):
        command, *rest = shlex.split(given)
        check_ours(line, command, rest)


def check_ours(line: str, command: str, rest: list[str]) -> None:
    assert command in help_of().split(), f"{line}: no command is named {command}"
    if command in RUN:
        check_run("fit" if command == "summary" else "test" if command == "lesions" else command, rest)
        return
    if command in ("study", "report", "keep", "dashboard"):
        study = find_study(rest[0])
        if "--only" in rest:
            names = rest[rest.index("--only") + 1 :]
            choose(study, names[: next((at for at, name in enumerate(names) if name.startswith("-")), None)])
    if command == "new":  # later lines name the file
        with contextlib.suppress(SystemExit):  # which may be there already
            main([command, *rest])
    for option in (word for word in rest if word.startswith("--")):
        assert option.partition("=")[0] in help_of(command).split(), f"{line}: {command} has no {option}"


def check_run(command: str, options: list[str]) -> None:
    """Lightning's parser takes the files and the options."""
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.suppress(SystemExit):
        main([command, *options, "--print_config"])
    assert "trainer:" in output.getvalue(), f"{command} {shlex.join(options)} is refused"
    for folder in (option.removeprefix("--run=") for option in options if option.startswith("--run=")):
        Path(folder).mkdir(parents=True, exist_ok=True)  # the lines that follow name its config.yaml
        Path(folder, "config.yaml").write_text(output.getvalue(), encoding="utf-8")


@cache
def help_of(*command: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.suppress(SystemExit):
        main([*command, "--help"])
    return re.sub(r"[\[\],]", " ", output.getvalue())


@cache
def headings(page: Path) -> set[str]:
    """As GitHub makes anchors of them."""
    found = re.findall(r"^#+ (.*)", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}
