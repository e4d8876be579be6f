"""Ensembles: the mean of their members' probabilities, and what makes none."""

from pathlib import Path

import numpy as np
import pytest
from made_up_imagenet_runs import predict

from resnet_lightning.errors import BadInput
from resnet_lightning.evaluation.ensemble import ensemble


def test_an_ensemble_is_the_mean_of_its_members(tmp_path: Path) -> None:
    # Means 0.55, 0.65 and 0.3 for the right class; the first of them outvoted one member. The last is left out.
    one = predict(tmp_path / "one", [[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.0, 1.0]], [1, 1, 1, 0])
    two = predict(tmp_path / "two", [[0.0, 1.0], [0.3, 0.7], [0.6, 0.4], [0.0, 0.0]], [1, 1, 1, -2])
    found = ensemble([one, two], "multi_scale")
    assert found["error"] == pytest.approx(100 / 3) and found["top5_error"] == 0
    assert (found["images"], found["damaged_images"], found["members"]) == (3, 1, [str(one), str(two)])
    assert [ensemble([folder], "multi_scale")["error"] for folder in (one, two)] == [75.0, pytest.approx(100 / 3)]


def test_a_large_ensemble_equals_the_plain_mean(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 20, 2500)
    scores = [random.dirichlet(np.ones(20), 2500).astype(np.float32) for _ in range(3)]
    folders = [predict(tmp_path / str(number), own, labels) for number, own in enumerate(scores)]
    order = np.argsort(-np.mean(scores, axis=0, dtype=np.float64), axis=1)
    found = ensemble(folders, "multi_scale")
    assert found["error"] == pytest.approx(100 * np.mean(order[:, 0] != labels))
    assert found["top5_error"] == pytest.approx(100 * np.mean((order[:, :5] != labels[:, None]).all(1)))


def test_equal_probabilities_do_not_count_as_right(tmp_path: Path) -> None:
    flat = predict(tmp_path / "flat", np.full((10, 10), 0.1), list(range(10)))
    assert ensemble([flat], "multi_scale")["error"] == 90.0
    assert ensemble([flat], "multi_scale")["top5_error"] == 50.0


def test_what_makes_no_ensemble_is_refused_in_one_line(tmp_path: Path) -> None:
    good = predict(tmp_path / "good", [[0.9, 0.1], [0.5, 0.5]], [0, 1])
    half = predict(tmp_path / "half", [[0.9, 0.1], [0.0, 0.0]], [0, -1])
    unmarked = predict(tmp_path / "unmarked", [[0.9, 0.1], [0.5, 0.5]], [0, 1], complete=False)
    cut = predict(tmp_path / "cut", [[0.9, 0.1], [0.5, 0.5]], [0, 1])
    whole = (cut / "predictions-multi_scale.npy").read_bytes()
    (cut / "predictions-multi_scale.npy").write_bytes(whole[:-5])
    plain = predict(tmp_path / "plain", [[0.9, 0.1]], [0])
    np.save(plain / "predictions-multi_scale.npy", np.zeros((2, 2)))
    reasons = {
        tmp_path / "nothing": "has no predictions-multi_scale.npy",
        half: "half done: 1 of 2 images",
        unmarked: "half done",
        cut: "is damaged",
        plain: "no labels and probabilities",
        predict(tmp_path / "not numbers", [[np.nan, 0.1], [0.5, 0.5]], [0, 1]): "no numbers",
        predict(tmp_path / "labels", [[0.9, 0.1], [0.5, 0.5]], [0, 7]): "labels beyond its 2 classes",
        predict(tmp_path / "order", [[0.9, 0.1], [0.5, 0.5]], [1, 0]): "another order",
        predict(tmp_path / "classes", [[0.9, 0.1, 0.0], [0.5, 0.5, 0.0]], [0, 1]): "3 classes are other data",
        predict(tmp_path / "data", [[0.9, 0.1], [0.5, 0.5]], [0, 1], data="imagenette"): "imagenette",
        predict(tmp_path / "gone", [[0.9, 0.1], [0.5, 0.5]], [-2, -2]): "no image is left",
    }
    for folder, reason in reasons.items():
        with pytest.raises(BadInput, match=reason) as refused:
            ensemble([good, folder], "multi_scale")
        assert "\n" not in str(refused.value) and str(folder) in str(refused.value)
    with pytest.raises(BadInput, match="at least one run"):
        ensemble([], "multi_scale")
