"""Whatever the terminal's encoding, files are UTF-8, sound runs are sound, and output is shown."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import QUICK

import resnet_lightning

PACKAGE = Path(resnet_lightning.__file__).parent
UNOPENED = re.compile(r"\.(?:read|write)_text\((?!.*(?:encoding=|\"utf-8\"))|text=True|(?<![\w.])open\(")
SHORT = ("--trainer.max_steps=6", "--trainer.val_check_interval=3")
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
GERMAN = {"LC_ALL": "de_DE.ISO-8859-1", "PYTHONUTF8": "0"}


def command(surroundings: dict[str, str], *arguments: str) -> str:
    line = [sys.executable, "-m", "resnet_lightning", *arguments]
    done = subprocess.run(line, capture_output=True, env=os.environ | surroundings, timeout=120)
    said = (done.stdout + done.stderr).decode("iso-8859-1")
    assert done.returncode == 0, said
    return said


@pytest.mark.parametrize("surroundings", [ASCII, GERMAN], ids=["ascii", "latin"])
def test_any_locale(workplace: Path, surroundings: dict[str, str]) -> None:
    probe = [sys.executable, "-c", "import locale; locale.setlocale(locale.LC_ALL, '')"]
    if subprocess.run(probe, env=os.environ | surroundings, capture_output=True).returncode:
        pytest.skip("this machine has no such locale")
    remark = "# Über 8×8\n"
    Path("own.yaml").write_text(f"{remark}model: {{network: {{init_args: {{depth: 8}}}}}}\n", encoding="utf-8")
    fit = ("fit", *QUICK[:2], "--config=own.yaml", *QUICK[3:], *SHORT)
    assert "test error" in command(surroundings, *fit)
    [run] = Path("runs/digits").glob("resnet20@*/seed0")
    for words in (("report", "demo"), ("study", "demo", "--print")):
        said = command(surroundings, *words)
        assert "damaged" not in said and "skipped" not in said
    assert all("8×8" in path.read_text(encoding="utf-8") for path in (run / "run.json", Path("reports/demo.md")))


def test_every_text_file_is_opened_as_utf8() -> None:
    lines = [
        f"{path.relative_to(PACKAGE)}:{number} {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNOPENED.search(line)
    ]
    assert not lines, "\n".join(lines)
