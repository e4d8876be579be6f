"""`complexity`: counts against torchvision's and by hand, a real measurement, and its report from stored results."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

from resnet_lightning.benchmarks.complexity.accuracy import top1
from resnet_lightning.benchmarks.complexity.counts import counted, follow, from_torchvision
from resnet_lightning.benchmarks.complexity.energy import rapl
from resnet_lightning.benchmarks.complexity.figures import accuracy_against
from resnet_lightning.benchmarks.complexity.labels import overlaps
from resnet_lightning.benchmarks.complexity.measuring import default_device
from resnet_lightning.benchmarks.complexity.networks import Subject, default_list
from resnet_lightning.benchmarks.complexity.results import Result, front, results_of
from resnet_lightning.benchmarks.complexity.store import KEPT, about_this, file_of
from resnet_lightning.cli import main
from resnet_lightning.networks.counting import Part, count_parts

KNOWN = [subject for subject in default_list() if subject.weights]


class Two(nn.Module):
    """A network small enough to count by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 1), nn.Linear(4, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.conv(images).relu().mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("subject", KNOWN, ids=lambda subject: subject.name)
def test_counts_are_torchvisions_to_the_last_digit(subject: Subject) -> None:
    with torch.device("meta"):
        network = subject.build().eval()
    with torch.no_grad():
        total = sum(count_parts(network, (1, 3, subject.size, subject.size)).values(), Part())
    told = from_torchvision(subject)
    assert total.parameters == told["parameters"]
    assert round(total.macs / 1e9, 3) == told["gigamacs"]


def test_memory_counted_by_hand() -> None:
    subject = Subject("Two", "test_complexity.Two", size=8)
    counts = counted(subject)
    places, parameters = 8 * 8, 4 * 3 + 4 + 4 * 5 + 5
    assert (counts["parameters"], counts["weights"]) == (parameters, 4 * parameters)
    assert counts["macs"] == places * 3 * 4 + 4 * 5
    # The convolution's output is alive when ReLU's is made, and the image all the time.
    assert counts["peak"] == 4 * places * (3 + 4 + 4)
    # Convolution, ReLU, mean and linear layer, each with what it reads and what it writes.
    read_and_written = places * (3 + 4) + places * (4 + 4) + (places * 4 + 4) + (4 + 5)
    assert counts["traffic"] == 4 * (read_and_written + places * 3)  # the image is written before
    assert counts["read_once"] == 4 * parameters
    assert follow(nn.Sequential(*(nn.ReLU() for _ in range(9))), (1, 1, 8, 8)).peak == 4 * 3 * places


def test_a_counter_of_energy_starts_again(tmp_path: Path) -> None:
    package = tmp_path / "intel-rapl:0"
    package.mkdir()
    (package / "max_energy_range_uj").write_text("1000000\n")
    (package / "energy_uj").write_text("900000\n")
    joules, words = rapl(tmp_path)
    assert joules and "RAPL" in words
    (package / "energy_uj").write_text("100000\n")
    assert joules() == pytest.approx(0.2)
    (package / "energy_uj").write_text("300000\n")
    assert joules() == pytest.approx(0.4)
    assert rapl(tmp_path / "nowhere") == (
        None,
        f"energy is not measured: neither NVML nor RAPL ({tmp_path}/nowhere/intel-rapl:*) is here",
    )


QUICK = ("complexity", "--only", "squeezenet1.1", "--batches", "1", "2", "--seconds", "0.3")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace in which SqueezeNet and a network of the user's own were measured."""
    place = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        main([*QUICK, "--add", "test_complexity.Two"])
    return place


def own_file(place: Path) -> Path:
    return place / file_of(about_this(default_device(), 0.3))


def test_a_real_measurement(measured: Path) -> None:
    networks = json.loads(own_file(measured).read_text())["networks"]
    for name in ("SqueezeNet 1.1", "Two"):
        [*rounds] = networks[name]["rounds"]
        assert len(rounds) == 3
        for one in rounds:
            assert set(one["forward"]) == {"1", "2"} and one["training"]["batch"] >= 2
            assert all(time > 0 for measured in one["forward"].values() for time in measured["times"])
    text = (measured / "reports" / "complexity.md").read_text()
    assert "| SqueezeNet 1.1 | – | 41.82 | 1,235,496 | 0.349 | 0.349 | 0.36 |" in text
    assert "| Two |" in text and "not told for fewer than 4 networks" in text
    for ending in ("-accuracy", "-operations", "-parameters", "-density", "-times", "-speed"):
        assert (measured / "reports" / f"complexity{ending}.svg").exists()
    assert "<table" in (measured / "reports" / "complexity.html").read_text()


def test_an_interrupted_command_goes_on(
    measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(measured / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    path = own_file(tmp_path)
    contents = json.loads(path.read_text())
    kept = contents["networks"]["SqueezeNet 1.1"]["rounds"]
    path.write_text(
        json.dumps(
            contents | {"networks": {"SqueezeNet 1.1": {**contents["networks"]["SqueezeNet 1.1"], "rounds": kept[:2]}}}
        )
    )
    main(list(QUICK))
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("round ")] == [
        "round 3 of 3, SqueezeNet 1.1"
    ]
    assert json.loads(path.read_text())["networks"]["SqueezeNet 1.1"]["rounds"][:2] == kept[:2]
    before = path.read_bytes()
    main([*QUICK, "--against", str(shutil.copy(path, tmp_path / "other.json"))])
    assert path.read_bytes() == before and "Two devices" in capsys.readouterr().out


def test_accuracy_is_that_of_the_file_on_the_images(tmp_path: Path) -> None:
    subject = next(subject for subject in KNOWN if subject.name == "SqueezeNet 1.1")
    network = subject.build().eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    noise = torch.Generator().manual_seed(0)
    images = [torch.randint(256, (224, 224, 3), generator=noise, dtype=torch.uint8) for _ in range(2)]
    see = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms()
    pictures = [Image.fromarray(image.numpy()) for image in images]
    with torch.inference_mode():
        guesses = [int(network(see(picture)[None]).argmax()) for picture in pictures]
    for number in range(1000):
        (tmp_path / "val" / f"n{number:08}").mkdir(parents=True)
    pictures[0].save(tmp_path / "val" / f"n{guesses[0]:08}" / "right.png")
    pictures[1].save(tmp_path / "val" / f"n{(guesses[1] + 1) % 1000:08}" / "wrong.png")
    assert top1(subject, tmp_path / "weights.pth", tmp_path / "val") == {"accuracy": 50.0, "images": 2}


def made_up(name: str, macs: float, parameters: float, error: float) -> Result:
    return Result(name, {"macs": macs, "parameters": parameters}, [], {"accuracy": 100 - error})


def test_nobody_on_a_front_is_beaten() -> None:
    results = [made_up(f"network-{n}", macs, 1, error) for n, (macs, error) in enumerate([(1, 40), (2, 45), (3, 30)])]
    assert [result.name for result in front(results, lambda result: result.counts["macs"])] == [
        "network-0",
        "network-2",
    ]


def test_names_lie_apart_in_a_figure_of_all_networks() -> None:
    told = {subject.name: from_torchvision(subject) for subject in KNOWN}
    counts = {name: {"macs": one["gigamacs"] * 1e9, "parameters": one["parameters"]} for name, one in told.items()}
    networks: dict[str, Any] = {name: {"counts": one, "rounds": [{}]} for name, one in counts.items()}
    figure = accuracy_against(results_of(networks, KNOWN), lambda result: result.counts["macs"], "operations", True)
    assert figure and not overlaps(figure.axes[0].texts)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "resnet51"], "no network is named 'resnet51'"),
        (["--batches", "0"], "--batches 0"),
        (["--batches", "one"], "one"),
        (["--seconds", "0"], "--seconds 0"),
        (["--against", "results/none.json"], "results/none.json does not exist"),
        (["--add", "Two"], "expected a dotted path"),
        (["--add", "test_complexity.Three"], "test_complexity.Three cannot be made"),
        (["--add", "test_complexity.KNOWN"], "test_complexity.KNOWN cannot be made"),
        (["--add", "missing.yaml"], "missing.yaml"),
        (["--onyl", "alexnet"], "onyl"),
        (["--weights", "weights"], "--weights and --data belong together"),
        (["--weights", "weights", "--data", "nowhere"], "nowhere/val holds 0 folders of classes"),
    ],
)
def test_what_is_wrong_is_named(workplace: Path, refused: Callable[..., str], arguments: list[str], said: str) -> None:
    assert said in refused("complexity", *arguments)
    assert [path.name for path in workplace.iterdir()] == ["experiments"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:200], "is damaged"),
        (lambda text: text.replace('"times"', '"tims"'), "is damaged (KeyError('times'))"),
        (lambda text: text.replace(torch.__version__, "1.0"), "was measured with torch 1.0"),
    ],
)
def test_a_damaged_file_is_named_and_left_alone(
    measured: Path, workplace: Path, refused: Callable[..., str], damage: Callable[[str], str], said: str
) -> None:
    path = own_file(workplace)
    path.parent.mkdir(parents=True)
    path.write_text(damage(own_file(measured).read_text()))
    before = path.read_bytes()
    line = refused(*QUICK)
    assert said in line and str(KEPT) in line and path.read_bytes() == before
