"""Whole runs through the command line: what they leave, and that killing one changes nothing."""

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import PAPER, QUICK, REPOSITORY, fit, result, run, same, start, weights

from resnet_lightning.cli import main
from resnet_lightning.data import Digits
from resnet_lightning.runs.command_line import prepare
from resnet_lightning.runs.folder import run_folder
from resnet_lightning.runs.metrics_file import read_metrics
from resnet_lightning.runs.naming import describe
from resnet_lightning.runs.progress import Progress

EXPERIMENTS = REPOSITORY / "experiments"
ALL = sorted(
    path.relative_to(REPOSITORY)
    for path in EXPERIMENTS.rglob("*.yaml")
    if path.stem != "base"
    and path.parent.name not in ("clusters", "family", "preactivation")  # tests/studies/test_family
)


def rows(folder: str | Path, name: str = "metrics.csv") -> dict[int, dict[str, str]]:
    """metrics.csv but for the speed, the one thing that is never the same twice, or another such file."""
    path = Path(folder) / name
    return {
        iteration: {name: cell for name, cell in row.items() if name != "images_per_second"}
        for iteration, row in read_metrics(path).items()
    }


# The experiments ----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning")  # main() does the same
@pytest.mark.parametrize("path", ALL, ids=str)
def test_every_experiment_is_what_its_name_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    header = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert str(path) in header
    base = EXPERIMENTS.name / Path(path.parts[1]) / "base.yaml"
    match = re.fullmatch(r"(plain|resnet|vgg)(\d+)([bc]?)(_without_bn)?", path.stem)
    leaf = {"imagenet": "table2/resnet18.yaml", "cifar10": "table6/resnet20.yaml"}.get(path.parts[1])
    # An overlay may be for more GPUs than there are.
    overlay = [f"--config={base.parent}/{leaf}", "--trainer.accelerator=cpu"]
    built = prepare([f"--config={base}", *overlay * (not match), f"--config={path}"])
    if not match:
        return
    family, depth, option = match[1], int(match[2]), match[3].upper()
    assert f"--config {base} --config {path}" in header
    assert built.model.network.depth == depth
    assert built.model.network.name.endswith(" without BN") == bool(match[4])
    if path.parts[1] == "imagenet":
        name = f"{ {'plain': 'plain', 'resnet': 'ResNet', 'vgg': 'VGG'}[family] }-{depth}" + f" {option}" * bool(option)
        assert built.model.network.name == name
        assert built.config.trainer.max_steps == 600_000 and built.data.batch_size == 256
        rates = [built.model.schedule(600_000)(iteration) for iteration in (0, 149_999, 150_000, 299_999, 300_000)]
        assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01])
        published = PAPER["table3_10crop_val"]["rows"]
        numbers = published.get(f"{name} A" if name == "ResNet-34" else name, [])
        if "table2" in path.parts:
            numbers = [PAPER["table2_plain_vs_resnet"][family][depth]]
        assert numbers and all(f"{number:.2f} " in header for number in numbers)
        return
    assert built.model.network.shortcut == ("none" if family == "plain" else "A")
    if path.parts[1] == "cifar10":
        assert (built.data.batch_size, built.data.validation_images) == (128, 0)
        assert built.config.trainer.max_steps == 64_000
        schedule = built.model.schedule(64_000)
        warm = schedule(0) < 1
        assert warm == (depth >= 110)
        optimizer = built.model.optimizer([{"params": built.model.parameters()}]).defaults
        assert (optimizer["lr"], optimizer["momentum"], optimizer["weight_decay"]) == (0.1, 0.9, 1e-4)
        assert not optimizer["nesterov"]
    if "table6" in path.parts:
        published = PAPER["table6_cifar10"]["resnet"][depth]
        assert f"{published.get('mean', published['error'])} " in header
    elif "figure6" in path.parts and depth != 110:
        assert f"about {PAPER['figures']['fig6']['read_off']['end_test'][f'plain-{depth}']} %" in header


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ("--config e/base.yaml --config experiments/cifar10/table6/resnet20.yaml", "cifar10/table6/resnet20"),
        ("--config=/a/experiments/digits/base.yaml --config=/a/experiments/digits/plain20.yaml", "digits/plain20"),
        ("fit --config elsewhere/mine.yaml --seed_everything 1 --data.root d --trainer.strategy=ddp", "mine"),
        ("--config elsewhere/mine.yaml --trainer.devices 2", "mine@devices=2"),
        ("--config a.yaml --trainer.max_steps 60 --model.schedule.init_args.warmup=0.1", "a@max_steps=60,warmup=0.1"),
        ("--config a.yaml --model.schedule.warmup=0.1 --trainer.max_steps=60", "a@max_steps=60,warmup=0.1"),
        ("--config a.yaml --config b/small.yaml --data.padding 2", "a@padding=2,small"),
        ("--config a.yaml --trainer.val_check_interval 5 --checkpoint_every 5", "a"),
        ("--config experiments/digits/base.yaml", "unnamed"),
    ],
)
def test_a_run_is_named_by_its_experiment_and_what_it_changes(arguments: str, folder: str) -> None:
    assert run_folder(*describe(arguments.split()), seed=3) == Path("runs") / folder / "seed3"


# One run ------------------------------------------------------------------------------------------------------------


def test_what_a_run_leaves(finished: Path) -> None:
    assert sorted(path.name for path in finished.iterdir()) == [
        *("checkpoints", "config.yaml", "gradients.csv", "metrics.csv", "responses.csv", "result.json", "run.json")
    ]
    left = sorted(path.name for path in (finished / "checkpoints").iterdir())
    assert left == ["iteration=22.ckpt", "iteration=22.ckpt.sha256"]
    record = result(finished)
    assert (record["state"], record["iteration"], record["network"]) == ("finished", 22, "ResNet-8")
    assert (record["train_images"], record["val_images"], record["test_images"]) == (1437, 0, 360)
    assert yaml.safe_load((finished / "config.yaml").read_text())["trainer"]["max_steps"] == 22
    assert list(read_metrics(finished / "gradients.csv")) == list(range(22))
    assert list(read_metrics(finished / "responses.csv")) == [20, 22]
    curve = {iteration: row for iteration, row in rows(finished).items() if "lr" in row}
    assert list(curve) == [10, 20, 22]
    assert (float(curve[22]["test/error"]), float(curve[22]["train/error"])) == (
        record["test_error"],
        record["train_error"],
    )
    assert record["test_error"] < 60 and record["best_test_error"] <= record["test_error"]
    # The triangle of the base, at the iteration that was just made.
    expected = [0.1 * (23 - iteration) / (23 - 0.2 * 22) for iteration in curve]
    assert [float(row["lr"]) for row in curve.values()] == pytest.approx(expected, rel=1e-4)


def test_a_finished_run_is_left_alone(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.parent)
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    fit("--trainer.max_steps=22", "--run=a run")
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_its_checkpoint_is_evaluated_to_the_same_error(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished.parent)
    error = result(finished)["test_error"]
    saved = ["--config=a run/config.yaml", "--ckpt_path=a run/checkpoints/iteration=22.ckpt"]
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    for command in ("test", "validate"):
        main([command, *saved])
        printed = capsys.readouterr().out
        [said] = re.findall(r"test/error\D+([\d.]+)", printed)
        assert float(said) == pytest.approx(error, abs=1e-3), command
    written = json.loads((finished / "test-center.json").read_text())
    assert (written["error"], written["images"]) == (pytest.approx(error, abs=1e-3), 360)
    main(["predict", *saved])
    rows = np.load(finished / "predictions-center.npy")
    for name in ("test-center.json", "predictions-center.json", "predictions-center.npy"):
        (finished / name).unlink()
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}.items() <= before.items()
    assert rows["probabilities"].shape == (360, 10)
    np.testing.assert_allclose(rows["probabilities"].sum(1), 1, atol=1e-4)
    data = Digits()
    data.setup("test")
    assert (rows["label"] == data.sets["test"][1].numpy()).all()
    assert 100 * (rows["probabilities"].argmax(1) != rows["label"]).mean() == pytest.approx(error, abs=1e-3)


def test_held_out_images_are_measured_beside_the_test_set(workplace: Path) -> None:
    options = ["--trainer.max_steps=4", "--trainer.val_check_interval=2", "--run=r"]
    fit(*options, "--data.validation_images=400", "--trainer.log_every_n_steps=2")
    record = result("r")
    assert (record["train_images"], record["val_images"], record["test_images"]) == (1037, 400, 360)
    evaluated = {iteration: row for iteration, row in rows("r").items() if "val/error" in row}
    assert list(evaluated) == [2, 4]
    for row in evaluated.values():
        assert {"val/error", "val/loss", "test/error", "test/loss", "train/error"} <= row.keys()
    errors = [float(rows("r")[4][name]) for name in ("val/error", "test/error")]
    assert (errors[0] / 100 * 400) == pytest.approx(round(errors[0] / 100 * 400), abs=1e-2)  # counts of 400
    assert (errors[1] / 100 * 360) == pytest.approx(round(errors[1] / 100 * 360), abs=1e-2)


def test_the_seed_decides_everything(workplace: Path) -> None:
    options = ["--trainer.max_steps=12", "--trainer.log_every_n_steps=3", "--trainer.val_check_interval=6"]
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        fit(*options, f"--run={folder}", f"--seed_everything={seed}")
    assert rows("a") == rows("b") and same(weights("a", 12), weights("b", 12))
    assert rows("a")[3]["train/loss"] != rows("c")[3]["train/loss"]
    assert not same(weights("a", 12), weights("c", 12))


def test_a_diverged_run_says_so(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--trainer.max_steps=22", "--model.optimizer.init_args.lr=1e30", "--run=r"]
    with pytest.raises(SystemExit) as exit:
        fit(*options)
    assert exit.value.code == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "diverged" in line and "iteration 10" in line
    record = result("r")
    assert (record["state"], record["iteration"]) == ("diverged", 10)
    fit(*options)  # is not tried again
    assert "diverged already" in capsys.readouterr().out


# Interruptions ------------------------------------------------------------------------------------------------------

LONG = (*QUICK, "--trainer.max_steps=44", "--trainer.val_check_interval=11", "--trainer.log_every_n_steps=4")


def killed_after(checkpoint: Path, arguments: list[str]) -> None:
    """Starts a run and kills it as soon as it has written that checkpoint."""
    process = start("fit", *arguments)
    deadline = time.monotonic() + 120
    while not checkpoint.exists():
        assert process.poll() is None and time.monotonic() < deadline, Path("output.txt").read_text()
        time.sleep(0.0005)
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("undisturbed")
    (place / "experiments").symlink_to(EXPERIMENTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        patch.chdir(place)
        main(["fit", *LONG, "--run=r"])
    return place / "r"


# 11 batches make an epoch: in mid-epoch, with half of a row's training error measured; at an epoch's end, where an
# evaluation is due too.
@pytest.mark.parametrize(("every", "killed_at"), [(5, 15), (11, 11)])
def test_a_killed_run_ends_as_if_nothing_had_happened(
    workplace: Path, undisturbed: Path, every: int, killed_at: int
) -> None:
    arguments = [*LONG, "--run=r", f"--checkpoint_every={every}"]
    killed_after(Path("r", "checkpoints", f"iteration={killed_at}.ckpt"), arguments)
    assert not Path("r", "result.json").exists()
    main(["fit", *arguments])
    for name in ("metrics.csv", "responses.csv", "gradients.csv"):
        assert rows("r", name) == rows(undisturbed, name)
    assert same(weights("r", 44), weights(undisturbed, 44))
    ours, theirs = result("r"), result(undisturbed)
    for name in ("seconds", "changes", "sessions", "finished", "checkpoint_sha256"):  # it holds times too
        del ours[name], theirs[name]
    assert ours == theirs


def test_an_evaluation_that_is_made_up_for_sees_every_image(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resnet_lightning.data.datamodule.EVALUATION_BATCH", 100)  # several of them
    arguments = ["--trainer.max_steps=16", "--trainer.val_check_interval=4", "--checkpoint_every=4", "--run=r"]
    fit(*arguments)
    before = rows("r")
    for name in ("result.json", "checkpoints/iteration=16.ckpt"):
        Path("r", name).unlink()
    fit(*arguments)  # from iteration 12, whose evaluation came after its checkpoint
    assert rows("r") == before


def test_what_a_network_draws_is_drawn_again(workplace: Path) -> None:
    """Dropout and stochastic depth, in mid-epoch, with iterations of two batches each."""
    options = ["--trainer.max_steps=8", "--trainer.accumulate_grad_batches=2", "--checkpoint_every=3"]
    stochastic = ["--model.network=resnet_lightning.networks.stochastic_depth.stochastic_depth_resnet"]
    networks = {"dropout": ["--model.network.dropout=0.5"], "depth": [*stochastic, "--model.network.depth=14"]}
    for name, changes in networks.items():
        fit(*options, *changes, f"--run={name}")
        before, trained = rows(name), weights(name, 8)
        for file in ("result.json", "checkpoints/iteration=8.ckpt"):
            Path(name, file).unlink()
        torch.rand(7)  # whatever else is drawn
        fit(*options, *changes, f"--run={name}")
        assert rows(name) == before and same(weights(name, 8), trained)


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on(workplace: Path, sent: signal.Signals, status: int) -> None:
    process = start("fit", *QUICK, "--trainer.max_steps=100000", "--run=r", "--checkpoint_every=5")
    deadline = time.monotonic() + 120
    while not Path("r", "checkpoints", "iteration=10.ckpt").exists():
        assert process.poll() is None and time.monotonic() < deadline, Path("output.txt").read_text()
        time.sleep(0.01)
    process.send_signal(sent)
    assert process.wait(60) == status
    assert Path("output.txt").read_text().splitlines()[-1].startswith("interrupted: the same command goes on")
    assert not Path("r", "result.json").exists()


def test_a_run_that_only_lacks_its_result_gets_it(workplace: Path, undisturbed: Path) -> None:
    shutil.copytree(undisturbed, "r")
    Path("r", "result.json").unlink()
    main(["fit", *LONG, "--run=r"])
    assert rows("r") == rows(undisturbed) and result("r")["test_error"] == result(undisturbed)["test_error"]


def test_two_processes_train_one_network(workplace: Path) -> None:
    options = ["--trainer.max_steps=12", "--trainer.log_every_n_steps=3", "--trainer.val_check_interval=6"]
    two = ["--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp", "--run=two"]
    run("fit", *QUICK, *options, *two, "--checkpoint_every=5")
    fit(*options, "--run=one")
    ours, theirs = result("two"), result("one")
    assert (ours["devices"], ours["test_images"], ours["state"]) == (2, 360, "finished")
    assert rows("two").keys() == rows("one").keys()
    one, other = (rows(folder)[3] for folder in ("one", "two"))
    # The batches hold the same images; batch normalisation sees halves of them.
    assert float(one["train/loss"]) == pytest.approx(float(other["train/loss"]), rel=0.2)
    assert float(other["train/loss"]) != float(one["train/loss"])
    mistakes = float(other["train/error"]) * 3.84
    assert mistakes == pytest.approx(round(mistakes), abs=1e-3)  # counted over the three times 128 images of both
    test_mistakes = ours["test_error"] * 3.6
    assert test_mistakes == pytest.approx(round(test_mistakes), abs=1e-2)
    assert ours["test_error"] == pytest.approx(theirs["test_error"], abs=20)
    # Goes on from 10, where each process has measured one iteration of the row at 12.
    names = ("metrics.csv", "responses.csv", "gradients.csv")
    before, trained = [rows("two", name) for name in names], weights("two", 12)
    for name in ("result.json", "checkpoints/iteration=12.ckpt"):
        Path("two", name).unlink()
    run("fit", *QUICK, *options, *two, "--checkpoint_every=5")
    assert [rows("two", name) for name in names] == before and same(weights("two", 12), trained)


# Tracking -----------------------------------------------------------------------------------------------------------


def test_without_a_key_a_tracked_run_is_written_offline_and_goes_on(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("home").mkdir()
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(workplace / "home"))
    options = ["--trainer.max_steps=4", "--trainer.log_every_n_steps=1", "--checkpoint_every=2", "--run=r"]
    for _ in range(2):
        fit(*options)
        Path("r", "result.json").unlink()
        Path("r", "checkpoints", "iteration=4.ckpt").unlink()
    runs = [path for path in Path("r", "wandb").glob("offline-run-*")]
    assert len(runs) == 2 and len({path.name.split("-")[3] for path in runs}) == 1
    assert all(list(path.glob("*.wandb")) for path in runs)


# Studies ------------------------------------------------------------------------------------------------------------


def test_a_study_runs_what_is_missing(workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = "data: {init_args: {image_size: 8, padding: 1}}\nmodel: {network: {init_args: {depth: 8}}}\n"
    Path("tiny.yaml").write_text(settings)
    arguments = [
        "study",
        "demo",
        "--steps=4",
        "--with=tiny.yaml",
        "--only",
        "resnet20",
        "--seeds",
        "0",
        "1",
        "--jobs=2",
    ]
    main(arguments)
    [folder] = Path("runs", "digits").iterdir()
    assert folder.name == "resnet20@max_steps=4,tiny"
    assert [(result(folder / f"seed{seed}")["seed"], result(folder / f"seed{seed}")["depth"]) for seed in (0, 1)] == [
        *((0, 8), (1, 8))
    ]
    first, second = (folder / f"seed{seed}" / "result.json" for seed in (0, 1))
    before = first.stat().st_mtime_ns
    second.unlink()
    capfd.readouterr()
    main(arguments)
    assert re.findall(r"^running ([^:\s]+)", capfd.readouterr().out, re.MULTILINE) == [str(second.parent)]
    assert second.exists() and first.stat().st_mtime_ns == before
    main(["report", "demo"])
    assert "ResNet-8" in capfd.readouterr().out


def test_a_study_whose_run_fails_says_which_and_why(workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("odd.yaml").write_text("model: {optimizer: {init_args: {lr: -0.1}}}\n")
    with pytest.raises(SystemExit) as exit:
        main(["study", "demo", "--steps=4", "--with=odd.yaml", "--only", "resnet20"])
    assert exit.value.code == 1
    printed = "".join(capfd.readouterr())
    assert re.search(r"failed runs/digits/resnet20@max_steps=4,odd/seed0: model.optimizer: .*-0.1", printed)


def test_progress_in_a_log_file_is_a_line_at_each_evaluation(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit("--trainer.max_steps=4", "--trainer.val_check_interval=2", "--run=r")
    printed, errors = capsys.readouterr()
    assert len(re.findall(r"^iteration [24] of 4: test error [\d.]+ %, 0:00:\d\d left$", printed, re.MULTILINE)) == 2
    assert errors == "" and not Progress().bar
