"""What the cells of a table say: measured beside published, errors of checkpoints, and the notes below the table."""

from collections.abc import Sequence

from resnet_lightning.reporting.groups import NOTHING, Setting, mean_and_deviation
from resnet_lightning.reporting.table import Table
from resnet_lightning.reporting.verdict import Comparison
from resnet_lightning.runs.folder import RESULTS
from resnet_lightning.runs.reading import Run

TESTING = {"center": "Centre crop", "ten_crop": "10-crop", "multi_scale": "Multi-scale"}


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


def setting_table(
    label: str, setting: Setting, group: Sequence[Run], rows: list[dict[str, str]], notes: Sequence[str]
) -> Table:
    """The rows of one setting under its title, and below them what every table of runs has to say."""
    title = f"{label}. {setting.title}" if setting.full else setting.title
    said = ["Errors at the last iteration, never the best; ± is the sample standard deviation over the seeds."]
    if group:
        images = " or ".join(f"{number:,}" for number in sorted({run.train_images for run in group}))
        said.append(f"Trained on {images} images.")
    if kept := sum(run.kept for run in group):
        said.append(f"{kept} of {len(group)} runs are from {RESULTS}/, made earlier.")
    if any(cell.startswith("at ") for row in rows for cell in row.values()):
        said.append("“at …” is a run that is not finished, or an earlier checkpoint; no mean counts it.")
    if setting.papers and not setting.full and any(column.startswith("Published") for column in rows[0]):
        said.append("These runs are not the paper's, whose numbers are shown for orientation only.")
    return Table(
        title,
        tuple(rows[0]),
        tuple(tuple(row.values()) for row in rows),
        tuple(note for note in [*notes, " ".join(said)] if note),
    )


def _final(run: Run, evaluation: str) -> bool:
    if evaluation not in run.evaluations:
        return False
    last = run.evaluations[evaluation]["iteration"] == run.iterations
    return bool(run.weights) or (run.state == "finished" and last)
