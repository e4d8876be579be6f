"""The learning rate at the iterations where the paper changes it (section 4.2), and as an optimizer applies it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fit, same, weights
from torch.optim.lr_scheduler import LambdaLR

from resnet_lightning.errors import BadInput
from resnet_lightning.runs.metrics_file import read_metrics
from resnet_lightning.schedules import Plateau, Schedule, Steps, Triangle

LOOKING = """
from resnet_lightning.schedules import Schedule

class Looking(Schedule):
    looks_every, error = 4, 50.0

    def __call__(self, iteration: int) -> float:
        return self.error / 100

    def state(self) -> dict[str, float]:
        return {"error": self.error}

    def observe(self, iteration: int, train_error: float) -> None:
        self.error = train_error
"""
AT = (0, 399, 400, 31_999, 32_000, 47_999, 48_000, 63_999)


def rates(schedule: Schedule, iterations: tuple[int, ...]) -> list[float]:
    return [pytest.approx(0.1 * schedule(iteration)) for iteration in iterations]


def applied(schedule: Schedule, count: int) -> list[float]:
    """How far each of so many iterations of SGD moves a weight whose gradient is 1."""
    weight = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scheduler = LambdaLR(optimizer, schedule)
    moved = []
    for _ in range(count):
        before = float(weight.detach())
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        scheduler.step()
        moved.append(before - float(weight.detach()))
    return moved


def learning_rates(folder: str) -> dict[int, float]:
    rows = read_metrics(Path(folder) / "metrics.csv").items()
    return {iteration: float(row["lr"]) for iteration, row in rows if row.get("lr")}


def test_the_papers_steps() -> None:
    assert rates(Steps(64_000), AT) == [0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    assert rates(Steps(64_000, warmup_iterations=400), AT) == [0.01, 0.01, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    assert rates(Steps(64_000, warmup_factor=0.5, warmup_iterations=400), AT)[:3] == [0.05, 0.05, 0.1]


@pytest.mark.parametrize("length", [4, 640, 6_000, 128_000])
def test_the_steps_scale_with_the_run(length: int) -> None:
    half, three_quarters = length // 2, length * 3 // 4
    at = (0, half - 1, half, three_quarters - 1, three_quarters, length - 1)
    assert rates(Steps(length), at) == [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]


def test_the_warm_up_ends_for_good_when_the_error_has_fallen() -> None:
    schedule = Steps(64_000, warmup_until_error=80)
    schedule.observe(100, 90.0)
    schedule.observe(200, 80.0)
    assert rates(schedule, AT) == [0.01] * 4 + [0.001] * 2 + [0.0001] * 2
    schedule.observe(400, 79.9)
    schedule.observe(500, 95.0)
    schedule.observe(600, 10.0)
    assert rates(schedule, AT) == [0.01, 0.01, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]


def test_an_optimizer_follows() -> None:
    assert applied(Steps(40, warmup_iterations=4), 40) == pytest.approx(
        [0.01] * 4 + [0.1] * 16 + [0.01] * 10 + [0.001] * 10
    )


def test_a_checkpoint_goes_on_with_what_is_configured_now(workplace: Path) -> None:
    """Up to its first drop a run does not depend on its length, so a checkpoint from there suits a longer run."""
    steps = "--model.schedule=resnet_lightning.schedules.Steps"
    options = [steps, "--model.schedule.warmup_until_error=1000", "--trainer.log_every_n_steps=2"]
    fit(*options, "--trainer.max_steps=8", "--checkpoint_every=4", "--run=short")
    fit(*options, "--trainer.max_steps=16", "--run=whole")
    begun = "--ckpt_path=short/checkpoints/iteration=4.ckpt"
    fit(*options, "--trainer.max_steps=16", begun, "--run=longer")
    assert same(weights("longer", 16), weights("whole", 16))
    fit(*options, "--trainer.max_steps=16", begun, "--run=other", "--model.optimizer.init_args.lr=0.05")
    whole = learning_rates("whole")
    other = learning_rates("other")
    assert other == {iteration: pytest.approx(rate / 2) for iteration, rate in whole.items() if iteration > 4}


@pytest.mark.parametrize("log_every", [1, 2, 4])
def test_the_warm_up_ends_the_same_however_often_is_logged(workplace: Path, log_every: int) -> None:
    """The rate here is the last error that was looked at, so that every image and every look shows in the weights."""
    Path("mine.py").write_text(LOOKING)
    options = ["--model.schedule=mine.Looking", "--trainer.max_steps=8", "--trainer.log_every_n_steps=3"]
    fit(*options, "--run=whole")
    fit(*options, "--run=r", f"--trainer.log_every_n_steps={log_every}", "--checkpoint_every=2")
    assert same(weights("r", 8), weights("whole", 8))
    # Taken up in the middle of a window, with another way of logging.
    fit(*options, "--run=other", "--ckpt_path=r/checkpoints/iteration=6.ckpt")
    assert same(weights("other", 8), weights("whole", 8))


def test_a_warm_up_that_began_when_each_row_was_a_look_goes_on(workplace: Path) -> None:
    Path("mine.py").write_text(LOOKING)
    options = ["--model.schedule=mine.Looking", "--trainer.max_steps=12", "--trainer.log_every_n_steps=4"]
    fit(*options, "--run=whole", "--checkpoint_every=6")
    path = Path("whole/checkpoints/iteration=6.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    assert len(checkpoint.pop("unseen")[0][0]) == 2
    torch.save(checkpoint, "earlier.ckpt")
    fit(*options, "--run=r", "--ckpt_path=earlier.ckpt")
    assert same(weights("r", 12), weights("whole", 12))


def test_a_triangle() -> None:
    schedule = Triangle(100, warmup=0.2)
    values = [schedule(iteration) for iteration in range(100)]
    assert values.index(max(values)) == 19 and max(values) == 1
    rising = [(number + 1) / 20 for number in range(20)]
    falling = [number / 81 for number in range(80, 0, -1)]  # zero would be reached just after the last iteration
    assert values == pytest.approx(rising + falling)
    assert 0 < Triangle(1)(0) <= 1


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: Steps(0), "max_steps 0"),
        (lambda: Steps(-1), "max_steps -1"),
        (lambda: Steps(100, drops=[32_000]), "drops"),
        (lambda: Triangle(100, warmup=1.0), "warmup 1.0"),
    ],
)
def test_bad_settings(build: Any, named: str) -> None:
    with pytest.raises(BadInput, match=named):
        build()


def test_plateau_drops_after_so_many_evaluations_without_a_new_best() -> None:
    schedule = Plateau(100, patience=2, threshold=0.5)
    for iteration, error in (
        (10, 50.0),
        (20, 40.0),
        (30, 39.8),
        (40, 40.5),
        (50, 30.0),
        (60, 30.0),
        (60, 30.0),
        (70, 31),
    ):
        schedule.observe_validation(iteration, error)  # 39.8 is no new best, and the second look at 60 counts once
    assert [schedule(iteration) for iteration in (0, 40, 41, 70)] == pytest.approx([1, 1, 0.1, 0.1])
    assert schedule(71) == pytest.approx(0.01)


def test_plateau_never_looks_at_test_images(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plateau = "--model.schedule=resnet_lightning.schedules.Plateau"
    with pytest.raises(SystemExit):
        fit("--trainer.max_steps=4", plateau, "--run=r")
    assert "validation_images" in capsys.readouterr().err
    options = ["--trainer.max_steps=4", plateau, "--run=r", "--data.validation_images=100"]
    with pytest.raises(SystemExit):
        fit(*options, "--model.schedule.every=3", "--trainer.val_check_interval=2")
    assert "every 3 iterations" in capsys.readouterr().err
    fit(*options, "--model.schedule.every=2", "--trainer.val_check_interval=2")


def test_plateau_looks_where_it_says_however_often_is_evaluated(workplace: Path) -> None:
    options = [
        "--model.schedule=resnet_lightning.schedules.Plateau",
        "--model.schedule.every=2",
        "--trainer.max_steps=6",
    ]
    options += ["--model.schedule.patience=1", "--model.schedule.threshold=100", "--data.validation_images=100"]
    for every in (1, 2):
        fit(*options, f"--trainer.val_check_interval={every}", "--trainer.log_every_n_steps=1", f"--run=every{every}")
    assert learning_rates("every1") == learning_rates("every2")
    assert [round(0.1 / rate) for rate in learning_rates("every1").values()] == [1, 1, 1, 1, 1, 10]
