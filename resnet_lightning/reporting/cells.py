"""What the cells of a table say: measured errors of one run or of several seeds, published ones, and differences."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any, Literal

from resnet_lightning.reporting.settings import Setting
from resnet_lightning.reporting.verdict import Comparison
from resnet_lightning.runs.reading import Run

NOTHING = "–"
TESTING = {"center": "Centre crop", "ten_crop": "10-crop", "multi_scale": "Multi-scale"}
Kind = Literal["train", "test"]


def errors(runs: Sequence[Run], kind: Kind) -> list[float]:
    """The errors (percent) of the finished runs at their last iteration."""
    found = [run.test_error if kind == "test" else run.train_error for run in runs if run.state == "finished"]
    return [error for error in found if error is not None]


def mean_error(runs: Sequence[Run], kind: Kind) -> float | None:
    """The mean error (percent) of the finished runs; None if there are none."""
    values = errors(runs, kind)
    return mean(values) if values else None


def measured(runs: Sequence[Run], kind: Kind) -> str:
    """The error (percent) of a network in words: 8.75, 8.75 ± 0.21, at 12,000: 45.31, diverged, or – without runs.

    The mean and the sample standard deviation are over the finished runs only.
    """
    values = errors(runs, kind)
    others = [run for run in runs if run.state != "finished"]
    if values:
        words = mean_and_deviation(values)
    elif others:
        run = max(others, key=lambda run: (run.state == "unfinished", run.iteration))
        others.remove(run)
        iterations, curve = run.curve(f"{kind}/error")
        here = f"at {iterations[-1]:,}: {curve[-1]:.2f}" if curve else f"at {run.iteration:,}: {NOTHING}"
        words = here if run.state == "unfinished" else run.state
    else:
        words = NOTHING
    counts = Counter(run.state for run in others)
    return words + (f" ({', '.join(f'+{counts[state]} {state}' for state in sorted(counts))})" if counts else "")


def last_values(runs: Sequence[Run], column: str) -> list[float]:
    """What a column of metrics.csv says at the end of each finished run."""
    found = [run.last(column) for run in runs if run.state == "finished"]
    return [value for value in found if value is not None]


def measured_last(runs: Sequence[Run], column: str) -> str:
    """The same in words, as measured() says an error: 76.40, 76.40 ± 0.21, at 12,000: 45.31, diverged, or –."""
    if values := last_values(runs, column):
        return mean_and_deviation(values)
    furthest = max(runs, key=lambda run: run.iteration, default=None)
    if furthest is None:
        return NOTHING
    iterations, curve = furthest.curve(column)
    here = f"at {iterations[-1]:,}: {curve[-1]:.2f}" if curve else NOTHING
    return "diverged" if furthest.state == "diverged" else here


def mean_and_deviation(values: Sequence[float]) -> str:
    """8.75, or of several values 8.75 ± 0.21, the sample standard deviation."""
    return f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def seeds(runs: Sequence[Run]) -> str:
    """The number of finished seeds of a network, or – if it has no runs."""
    return str(len(errors(runs, "test"))) if runs else NOTHING


def published_error(error: float | str | None) -> str:
    """A published error (percent), or – where there is none; † is the paper's mark of an error on the test set.

    >>> published_error("8.43 (dagger, test)")
    '8.43†'
    """
    if isinstance(error, str):
        return error.split()[0] + ("†" if "dagger" in error else "")
    return NOTHING if error is None else f"{error:.2f}"


def about(error: float | str | None) -> str:
    """An error (percent) that was read off a figure."""
    return NOTHING if error is None else f"≈ {error}" if isinstance(error, float) else str(error)


def published_mean(entry: Mapping[str, Any]) -> str:
    """The error (percent) of a row of paper.yaml: the mean of several runs and their deviation, if it has them."""
    if "mean" in entry:
        return f"{entry['mean']:.2f} ± {entry['std']:.2f}"
    return f"{entry['error']:.2f}" if entry else NOTHING


def training_and_test(own: Sequence[Run]) -> dict[str, str]:
    """The columns of the errors (percent) at the last iteration."""
    return {"Training error %": measured(own, "train"), "Test error %": measured(own, "test"), "Seeds": seeds(own)}


def difference(setting: Setting, ours: float | None, published: float | str | None) -> str:
    """Ours less the paper's, in points of percent; only for the paper's own training."""
    if not setting.full or ours is None or not isinstance(published, float):
        return NOTHING
    return str(Comparison(round(ours, 2) - published))


def best(runs: Sequence[Run]) -> str:
    """The lowest test error (percent) that finished runs had at any evaluation, or – without any: mean, deviation."""
    values = [min(curve) for run in runs if run.state == "finished" and (curve := run.curve("test/error")[1])]
    return mean_and_deviation(values) if values else NOTHING


def length(setting: Setting, own: Sequence[Run]) -> dict[str, str]:
    """The column of planned iterations."""
    return {"Iterations": f"{setting.iterations:,}" if own else NOTHING}


def final_errors(runs: Sequence[Run], evaluation: str, measure: str) -> list[float]:
    """A measure (error, top5_error, …; percent) of each last checkpoint that was evaluated so."""
    found = [run.evaluations[evaluation].get(measure) for run in runs if _final(run, evaluation)]
    return [error for error in found if error is not None]


def evaluated(runs: Sequence[Run], evaluation: str, measure: str) -> str:
    """An error (percent) of a network's checkpoints in words: 25.03, 25.03 ± 0.12, at 300,000: 30.25, or –.

    The mean and the sample standard deviation are over the last checkpoints of finished runs; "(1 of 3 seeds)" says
    that the others have not been evaluated.
    """
    values = final_errors(runs, evaluation, measure)
    if values:
        ended = sum(run.state in ("finished", "evaluated") for run in runs)
        words = mean_and_deviation(values)
        return words + (f" ({len(values)} of {ended} seeds)" if len(values) < ended else "")
    earlier = [run.evaluations[evaluation] for run in runs if measure in run.evaluations.get(evaluation, {})]
    if earlier:
        latest = max(earlier, key=lambda contents: int(contents["iteration"]))
        return f"at {latest['iteration']:,}: {latest[measure]:.2f}"
    return "diverged" if runs and all(run.state == "diverged" for run in runs) else NOTHING


def evaluation_note(runs: Sequence[Run], evaluation: str) -> str:
    """Of how many images the errors of this evaluation are, and whether batch normalisation was measured anew."""
    found = [run.evaluations[evaluation] for run in runs if evaluation in run.evaluations]
    if not found:
        return ""
    images = " or ".join(f"{number:,}" for number in sorted({int(contents.get("images", 0)) for contents in found}))
    note = f"{TESTING[evaluation]}: measured on {images} images"
    if damaged := max(int(contents.get("damaged_images", 0)) for contents in found):
        note += f" (up to {damaged:,} damaged ones left out)"
    batches = sorted({int(contents.get("bn_batches", 0)) for contents in found})
    if batches[-1]:
        anew = " or ".join(f"{number:,}" for number in batches)
        note += f", with the statistics of batch normalisation computed anew over {anew} batches"
    return f"{note}."


def _final(run: Run, evaluation: str) -> bool:
    if evaluation not in run.evaluations:
        return False
    last = run.evaluations[evaluation]["iteration"] == run.iterations
    return bool(run.weights) or (run.state == "finished" and last)
