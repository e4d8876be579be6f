"""The choices of a protocol and the recipes: their experiments, what stays paired, and the report."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import PAPER, REPOSITORY
from scipy.stats import t

from resnet_lightning.cli import main
from resnet_lightning.data import CIFAR10
from resnet_lightning.networks import cifar_resnet
from resnet_lightning.runs.command_line import prepare
from resnet_lightning.runs.experiments import experiment_files, merged
from resnet_lightning.runs.identity import configuration_hash, first_difference, settings
from resnet_lightning.studies import find_study
from resnet_lightning.studies.choices import BEST, CHOICES, RECIPES
from resnet_lightning.studies.execution.jobs import list_jobs

FOLDER = Path("experiments/cifar10/protocols")
SINGLE = [name for name in CHOICES if name != BEST]
RECIPE_FILES = [name for name in RECIPES if name not in CHOICES]
PAPERS = "cifar10/table6/resnet20"
# What a recipe has beyond its choices.
MORE = {
    "akamaster": set(),
    "fb_resnet_torch": {"trainer.max_steps", "model.schedule.init_args.drops"},
    "keras": {
        *("trainer.max_steps", "model.schedule.init_args.drops", "data.init_args.batch_size"),
        *("model.network.init_args.shortcut", "model.optimizer.class_path", "model.optimizer.init_args.lr"),
        "model.optimizer.init_args.weight_decay",
    },
}


def name_of(stem: str) -> str:
    return f"cifar10/protocols/{stem}" if stem else PAPERS


def resolved(experiment: str) -> dict[str, Any]:
    return settings(merged(REPOSITORY / path for path in experiment_files(experiment)))


def different(stem: str) -> set[str]:
    """The settings in which an experiment differs from the paper's."""
    own, papers = resolved(name_of(stem)), resolved(PAPERS)
    gone = {key for key in papers if key not in own and not key.startswith("model.optimizer")}  # another optimizer's
    assert not gone
    return {key for key, value in own.items() if value != papers.get(key)}


def test_no_experiment_is_left_out() -> None:
    files = {path.stem for path in (REPOSITORY / FOLDER).glob("*.yaml")}
    assert files == {*SINGLE, *RECIPE_FILES}
    assert set(find_study("protocols").experiments) == {PAPERS, *map(name_of, files)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning")  # main() does the same
@pytest.mark.parametrize("stem", [*SINGLE, *RECIPE_FILES])
def test_an_experiment_is_built_as_its_head_says(stem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    header = "".join(line for line in (FOLDER / f"{stem}.yaml").read_text().splitlines(True) if line.startswith("#"))
    base = "experiments/cifar10/base.yaml"
    assert f"--config {base} --config {FOLDER}/{stem}.yaml" in header
    published = {row.get("recipe"): row["error"].get(20) for row in PAPER["reimplementations"]["rows"].values()}
    error = published.get(stem) if stem in RECIPE_FILES else None
    assert (f"published test error {error:.2f} %" if error else "no published error") in " ".join(
        header.lower().split()
    )
    built = prepare([f"--config={base}", f"--config={FOLDER}/{stem}.yaml"], watched=False)
    assert built.model.network.depth == 20
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))]}]
    optimizer = built.model.optimizer(groups)
    assert type(optimizer).__name__ == ("Adam" if stem == "keras" else "SGD")
    assert optimizer.defaults["weight_decay"] == {"keras": 2e-4, "weight_decay_5e4": 5e-4}.get(stem, 1e-4)


@pytest.mark.parametrize("stem", SINGLE)
def test_a_choice_changes_one_setting(stem: str) -> None:
    assert len(different(stem)) == 1


@pytest.mark.parametrize("stem", RECIPE_FILES)
def test_a_recipe_is_its_choices_and_what_its_head_says(stem: str) -> None:
    own, of_choices = resolved(name_of(stem)), [name for name in RECIPES[stem] if name != BEST]
    changed = set.union(*map(different, of_choices))
    assert different(stem) == changed | MORE[stem]
    for name in of_choices:
        for key in different(name) - {"trainer.max_steps"}:  # the last batch makes epochs longer
            assert own[key] == resolved(name_of(name))[key]


@pytest.mark.parametrize(
    ("stem", "epochs", "drops"),
    [
        *(("epochs200", 200, [100, 150]), ("akamaster", 200, [100, 150])),
        *(("fb_resnet_torch", 164, [80, 121]), ("keras", 200, [81, 121, 161])),
    ],
)
def test_rates_drop_at_the_ends_of_epochs(stem: str, epochs: int, drops: list[int]) -> None:
    found = resolved(name_of(stem))
    batch = found["data.init_args.batch_size"]
    keeps = found.get("data.init_args.drop_last") is False
    each = math.ceil(50_000 / batch) if keeps else 50_000 // batch
    assert found["trainer.max_steps"] == epochs * each
    falls = [round(drop * epochs * each) for drop in found["model.schedule.init_args.drops"]]
    assert falls == [drop * each for drop in drops]


def test_steps_shorten_all_in_proportion(workplace: Path) -> None:
    study = find_study("protocols")
    jobs = list_jobs(study.experiments, [0], None, 2000, [], in_proportion=study.in_proportion)
    lengths = {}
    for job in jobs:
        [given] = [word for word in job.arguments if word.startswith("--trainer.max_steps=")]
        lengths[job.folder.parts[-2].partition("@")[0]] = int(given.partition("=")[2])
    longer = {"epochs200": 2438, "akamaster": 2444, "fb_resnet_torch": 2004, "keras": 9769}
    assert lengths == dict.fromkeys([*SINGLE, "resnet20"], 2000) | longer
    assert list_jobs(["cifar10/family/wrn16_4"], [0], None, 2000, [])[0].folder.parts[-2] == "wrn16_4@max_steps=2000"


@pytest.mark.parametrize("stem", ["", *SINGLE, *RECIPE_FILES])
def test_a_seed_gives_the_same_weights_and_images(stem: str, png_folders: Path) -> None:
    def drawn(experiment: str) -> tuple[list[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
        config = merged(REPOSITORY / path for path in experiment_files(experiment))
        torch.manual_seed(3)
        weights = list(cifar_resnet(**config["model"]["network"]["init_args"]).parameters())
        given = config["data"]["init_args"] | {"root": str(png_folders), "seed": 3}
        given["validation_images"] //= 500  # of 260 images
        data = CIFAR10(**given)
        data.setup("fit")
        return weights, data.train_dataloader().epoch(2)

    (ours, ordered), (theirs, others) = drawn(PAPERS), drawn(name_of(stem))
    same_order = all(map(torch.equal, ordered, others))
    assert same_order == (stem != "images45k")
    if stem == "keras":  # projections draw weights too
        assert len(ours) < len(theirs)
        return
    for one, other in zip(ours, theirs, strict=True):  # the same numbers were drawn
        scale = other.flatten()[0] / one.flatten()[0] if one.dim() == 4 else 1
        torch.testing.assert_close(one * scale, other)


@pytest.mark.parametrize(
    ("part", "name", "before", "other"),
    [("network", "zeros", "after", "around"), ("network", "fan", "in", "out"), ("data", "drop_last", True, False)],
)
def test_runs_of_before_are_of_the_value_that_was_always_so(part: str, name: str, before: Any, other: Any) -> None:
    old = (REPOSITORY / "results/cifar10/table6/resnet20/seed0/config.yaml").read_text(encoding="utf-8")

    def having(value: Any) -> dict[str, Any]:
        config = yaml.safe_load(old)
        (config["model"]["network"] if part == "network" else config["data"])["init_args"][name] = value
        return config  # type: ignore[no-any-return]

    assert configuration_hash(yaml.safe_dump(having(before))) == configuration_hash(old)
    assert configuration_hash(yaml.safe_dump(having(other))) != configuration_hash(old)
    assert first_difference(yaml.safe_load(old), having(before)) is None
    assert name in str(first_difference(yaml.safe_load(old), having(other)))


def write_run(stem: str, seed: int, error: float, best: float = 0.0, steps: int = 0, *changes: str) -> None:
    experiment = name_of(stem)
    steps = steps or resolved(experiment)["trainer.max_steps"]
    every = ([f"max_steps={steps}"] if changes else []) + list(changes)
    folder = Path("runs", "@".join([experiment, *[",".join(every)] * bool(every)]), f"seed{seed}")
    folder.mkdir(parents=True)
    info = {
        **{"experiment": experiment, "seed": seed, "network": "ResNet-20", "depth": 20, "shortcut": "A"},
        **{"parameters": 269_722, "iterations": steps, "changes": every, "as_shipped": not every},
        **{"data": "CIFAR-10 at 16×16" if changes else "CIFAR-10", "train_images": 50_000, "family": "ResNet"},
        **{"state": "finished", "iteration": steps, "train_error": 1.0, "test_error": error},
    }
    for file in ("run.json", "result.json"):
        (folder / file).write_text(json.dumps(info))
    (folder / "config.yaml").write_text(yaml.safe_dump(merged(experiment_files(experiment))))
    curve = f"{steps // 2},1.0,{best or error}\n{steps},1.0,{error}\n"
    (folder / "metrics.csv").write_text("iteration,train/error,test/error\n" + curve)


def cells(path: Path, *beginning: str) -> list[str]:
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in path.read_text().splitlines()]
    [line] = [line for line in found if line[: len(beginning)] == list(beginning)]
    return line[len(beginning) :]


NOISE = {
    "": [0.1, -0.1, 0.2, -0.2, 0.0],
    "pad_first": [0.12, -0.13, 0.21, -0.19, 0.02],
    "nesterov": [-0.1, 0.1, -0.2, 0.1, 0.1],
    "images45k": [0.13, -0.1, 0.18, -0.19, 0.01],
}


def test_the_report(workplace: Path) -> None:
    main(["report", "protocols"])  # without a run: what is published
    report = Path("reports/protocols.md")
    assert cells(report, "Padding", "after normalisation") == ["before normalisation", *["–"] * 6]
    assert cells(report, "akamaster/pytorch_resnet_cifar10")[1:4] == ["8.27", "6.61", "-0.48"]
    assert cells(report, "He et al. (2015)")[1:4] == ["8.75", "6.97", "–"]
    assert "5.63 to 7.40 %" in report.read_text() and not list(Path("reports").glob("*.svg"))

    more = {"": 8.5, "pad_first": 9.0, "nesterov": 8.5, "images45k": 8.8}
    for stem, noise in NOISE.items():
        for seed, points in enumerate(noise):
            write_run(stem, seed, more[stem] + points, best=more[stem] + points - 0.1 - 0.01 * seed)
    write_run("fan_out", 3, 8.3)
    main(["report", "protocols"])
    each = [0.5 + one - other for one, other in zip(NOISE["pad_first"], NOISE[""], strict=True)]
    average = sum(each) / 5
    half = t.ppf(0.975, 4) * math.sqrt(sum((x - average) ** 2 for x in each) / 4 / 5)
    padding = cells(report, "Padding", "after normalisation")
    assert padding[1] == "9.01 ± 0.17" and padding[4:6] == ["real: higher error", "5"]
    assert padding[2] == f"{average:+.2f} [{average - half:+.2f}, {average + half:+.2f}]"
    # Four have intervals: the smallest p counts four times, the largest once.
    momentum = cells(report, "Momentum", "plain")
    differences = [one - other for one, other in zip(NOISE["nesterov"], NOISE[""], strict=True)]
    middle = sum(differences) / 5
    error = math.sqrt(sum((x - middle) ** 2 for x in differences) / 4 / 5)
    assert momentum[3:5] == [f"{2 * t.sf(abs(middle) / error, 4):.2g}", "no effect seen"]
    assert cells(report, "Reported error", "last")[2].startswith("-0.12 [")
    assert cells(report, "Reported error", "last")[4] == "real: lower error"
    assert cells(report, "Initialisation", "fan-in")[2:6] == ["+0.00", "–", "one seed says nothing", "1"]
    # 45,000 images are a recipe of one choice, whose error others publish.
    effect = "+0.31 [+0.28, +0.33]"
    assert cells(report, "re-runs of the paper's protocol")[-3:] == ["8.81 ± 0.15", effect, effect]
    text = report.read_text()
    assert "trained here, explain nothing, and their choices, added up, nothing" in text
    assert "not the paper's runs" not in text
    assert [path.name for path in Path("reports").glob("protocols*.svg")] == ["protocols.svg"]
    page = Path("reports/protocols.html").read_text()
    assert "ResNet-20 (pad_first), seed 0" in page and "ResNet-20 (resnet20), seed 0" in page


def test_recipes_that_do_what_is_published_explain_it(workplace: Path) -> None:
    for seed in range(3):
        write_run("", seed, 8.8)
        for stem in RECIPES["akamaster"]:
            if stem != BEST:
                write_run(stem, seed, 8.7 + 0.01 * seed)
        write_run("akamaster", seed, 8.5, best=8.3 + 0.01 * seed)
    main(["report", "protocols"])
    report = Path("reports/protocols.md")
    row = cells(report, "akamaster/pytorch_resnet_cifar10")
    assert row[3] == "-0.48" and row[-2].startswith("-0.49 [") and row[-1].startswith("-0.45 [")
    assert "explain 100 %, and their choices, added up, 100 % (of" in report.read_text()


def test_a_shortened_group_has_runs_of_its_own_lengths(workplace: Path) -> None:
    for seed in range(3):
        write_run("", seed, 30 + seed, 0.0, 2000, "pixels16")
        write_run("epochs200", seed, 29 + 1.1 * seed, 0.0, 2438, "pixels16")
        write_run("akamaster", seed, 29 + 0.9 * seed, 28 + 0.9 * seed, 2444, "pixels16")
    write_run("nesterov", 7, 31, 0.0, 2000, "pixels16")  # of no common seed
    main(["report", "protocols"])
    report = Path("reports/protocols.md")
    text = report.read_text()
    assert text.count("**Choices of a protocol") == 1 and "2,000 iterations; changed: pixels16**" in text
    assert cells(report, "Drops of the rate")[3].startswith("-0.90 [")
    assert cells(report, "Momentum", "plain")[1:3] == ["31.00", "–"]
    # By its best error, as it reports it.
    assert cells(report, "akamaster/pytorch_resnet_cifar10")[-3].startswith("28.90 ±")
    assert "not the paper's runs" in text and "explain" not in text
