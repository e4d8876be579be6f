"""The table of a comparison: errors over the seeds, their differences from the baseline, and costs."""

from collections.abc import Mapping, Sequence
from statistics import mean

from resnet_lightning.reporting.cells import NOTHING, measured, seeds
from resnet_lightning.reporting.differences import POINTS
from resnet_lightning.reporting.settings import setting_of
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, read_json_or_nothing
from resnet_lightning.studies.comparing.trust import Settings, in_words, refuse_other_data, warning
from resnet_lightning.studies.comparing.verdict import Test, caveats, needed, of, p_value, test, verdict


def tables(
    title: str, settings: Mapping[str, Settings], macs: Mapping[str, int | None], runs: Sequence[Run]
) -> list[Table]:
    """One table with a row for each experiment, the baseline first, and below it what it means.

    Args:
        settings: what each experiment's files say, by its name, which its runs have as that of their network.
        macs: multiply-adds of each for one image.

    Raises:
        BadInput: if runs are on different data, or two experiments have not finished two seeds in common.
    """
    own = {name: [run for run in runs if run.network == name] for name in settings}
    refuse_other_data([(run.network, run.data) for run in runs], settings)
    baseline, *others = own
    tests = test(own)
    rows = [row(name, own[name], macs[name], tests.get(name), of(runs)) for name in own]
    notes = [
        *(verdict(baseline, name, tests[name], of(runs)) for name in others),
        needed(tests),
        *(in_words(baseline, name, settings) for name in others),
        warning(own, settings),
    ]
    cells = tuple(tuple(row.values()) for row in rows)
    return [Table(f"{title} {words(runs)}", tuple(rows[0]), cells, tuple(filter(None, notes)), caveats(len(others)))]


def row(name: str, own: Sequence[Run], macs: int | None, test: Test | None, images: str) -> dict[str, str]:
    return {
        "Experiment": name,
        f"{images.capitalize()} error %": measured(own, "test"),
        "Training error %": measured(own, "train"),
        "Seeds": seeds(own),
        "Difference, paired": str(test.by_pairs) if test else NOTHING,
        "p": p_value(test.p) if test else NOTHING,
        "Difference, unpaired": str(test.apart) if test else NOTHING,
        "p, unpaired": p_value(test.apart.p) if test else NOTHING,
        f"Seeds for {POINTS} points": seeds_needed(test) if test else NOTHING,
        "Parameters": f"{own[0].parameters:,}",
        "Multiply-adds": f"{macs:,}" if macs is not None else NOTHING,
        "ms / iteration": milliseconds(own),
    }


def seeds_needed(test: Test) -> str:
    """Pairs of seeds that are needed, and seeds of each without pairs."""
    return " / ".join(f"{count:,}" if (count := one.seeds_needed) else NOTHING for one in (test.by_pairs, test.apart))


def milliseconds(own: Sequence[Run]) -> str:
    """Of training alone, the mean over the finished runs."""
    results = [read_json_or_nothing(run.folder / "result.json") for run in own if run.state == "finished"]
    found = [1000 * result["seconds"] / result["iteration"] for result in results if result.get("seconds")]
    return f"{mean(found):,.1f}" if found else NOTHING


def words(runs: Sequence[Run]) -> str:
    """What the runs are of: data, length and changes."""
    data = " or ".join(dict.fromkeys(run.data for run in runs))
    iterations = " or ".join(f"{number:,}" for number in sorted({run.iterations for run in runs}))
    changes = ", ".join(dict.fromkeys(change for run in runs for change in setting_of(run).changes))
    return f"{data}: {iterations} iterations" + (f"; changed: {changes}" if changes else "")
