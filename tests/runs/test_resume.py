"""A run that is killed, interrupted or asked to stop goes on as if nothing had happened."""

import shutil
import signal
from pathlib import Path

import pytest
import torch
from conftest import QUICK, fit, lasting_workplace, result, rows, same, weights
from processes import Forked, wait_for

from resnet_lightning.cli import main
from resnet_lightning.runs.checkpoints import checkpoints

LONG = (*QUICK, "--trainer.max_steps=44", "--trainer.val_check_interval=11", "--trainer.log_every_n_steps=4")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with lasting_workplace(tmp_path_factory, "undisturbed") as place:
        main(["fit", *LONG, "--run=r"])
    return place / "r"


# 11 batches make an epoch: in mid-epoch, with half of a row's training error measured; at an epoch's end, where an
# evaluation is due too.
@pytest.mark.parametrize(("every", "killed_at"), [(5, 15), (11, 11)])
def test_a_killed_run_ends_as_if_nothing_had_happened(
    workplace: Path, undisturbed: Path, every: int, killed_at: int
) -> None:
    arguments = [*LONG, "--run=r", f"--checkpoint_every={every}"]
    process = Forked("fit", *arguments)
    wait_for(Path("r", "checkpoints", f"iteration={killed_at}.ckpt"), process)
    process.kill()
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
    """Dropout, and blocks that are left out; in mid-epoch, with iterations of two batches each."""
    options = ["--trainer.max_steps=8", "--trainer.accumulate_grad_batches=2", "--checkpoint_every=3"]
    stochastic = "--model.network=resnet_lightning.networks.stochastic_depth.stochastic_depth_resnet"
    for name, changes in {"dropout": ["--model.network.dropout=0.5"], "depth": [stochastic]}.items():
        arguments = [*options, *changes, "--model.network.depth=14", f"--run={name}"]
        fit(*arguments)
        before, trained = rows(name), weights(name, 8)
        for file in ("result.json", "checkpoints/iteration=8.ckpt"):
            Path(name, file).unlink()
        torch.rand(7)  # whatever else is drawn
        fit(*arguments)
        assert rows(name) == before and same(weights(name, 8), trained)


def test_an_interrupted_run_says_how_to_go_on(workplace: Path) -> None:
    process = Forked("fit", *QUICK, "--trainer.max_steps=100000", "--run=r", "--checkpoint_every=5")
    wait_for(Path("r", "checkpoints", "iteration=10.ckpt"), process)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert Path("output.txt").read_text().splitlines()[-1].startswith("interrupted: the same command goes on")
    assert not Path("r", "result.json").exists()


def test_a_run_that_only_lacks_its_result_gets_it(workplace: Path, undisturbed: Path) -> None:
    shutil.copytree(undisturbed, "r")
    Path("r", "result.json").unlink()
    main(["fit", *LONG, "--run=r"])
    assert rows("r") == rows(undisturbed) and result("r")["test_error"] == result(undisturbed)["test_error"]


def test_a_run_that_is_asked_to_stop_saves_its_iteration(workplace: Path) -> None:
    options = ["--trainer.max_steps=60", "--trainer.val_check_interval=30", "--checkpoint_every=1000"]
    fit(*options, "--run=whole")
    process = Forked("fit", *QUICK, *options, "--run=r")
    wait_for(Path("r", "metrics.csv"), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert Path("output.txt").read_text().splitlines()[-1].startswith("interrupted: the same command goes on")
    [saved] = checkpoints(Path("r", "checkpoints"))
    assert 1 <= int(saved.stem.partition("=")[2]) < 60
    torch.set_num_threads(2)  # which alone would change the weights: the run goes on with the one that it began with
    fit(*options, "--run=r")
    assert torch.get_num_threads() == 1
    assert same(weights("r", 60), weights("whole", 60))
    sessions = result("r")["sessions"]
    assert [session["from_iteration"] for session in sessions] == [0, int(saved.stem.partition("=")[2])]
