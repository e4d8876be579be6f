"""Table 5: the ensemble of the networks that were tested at several scales on ImageNet (section 4.1)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resnet_lightning.errors import BadInput
from resnet_lightning.evaluation.ensemble import ensemble, prediction_files
from resnet_lightning.reporting.cells import NOTHING, final_errors, published_error
from resnet_lightning.reporting.comparison import describe
from resnet_lightning.reporting.setting_tables import as_table
from resnet_lightning.reporting.settings import Setting, groups, whole
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.checkpoints import iteration_of
from resnet_lightning.runs.folder import read_json
from resnet_lightning.runs.reading import Run, paper
from resnet_lightning.studies import Study
from resnet_lightning.studies.experiments import BOTTLENECKS, OPTIONS_B_AND_C

EVALUATION = "multi_scale"
OURS = "ResNet (ILSVRC15)"  # the paper's row


def tables(runs: Sequence[Run]) -> list[Table]:
    """Table 5, top-5 errors in percent of ensembles: one table per setting, of all its runs with predictions."""
    trained, others = [run for run in runs if not run.weights], [run for run in runs if run.weights]
    found = groups(trained) or [(whole("ImageNet"), [])]
    return [_table(setting, group) for setting, group in [*found, *groups(others)]]


def _table(setting: Setting, group: Sequence[Run]) -> Table:
    rows_of_paper = paper()["table5_ensembles"]["rows"]
    members, result, left_out = _measure(group)
    ours = {
        "Measured top-5 error %": f"{result['top5_error']:.2f}" if result else NOTHING,
        "Measured top-1 error %": f"{result['error']:.2f}" if result else NOTHING,
        "Networks": str(len(members)) if result else NOTHING,
        "Images": f"{result['images']:,}" if result else NOTHING,
        "Members": ", ".join(map(_name, members)) if result else NOTHING,
    }
    notes = []
    if setting.imagenet and not setting.of_others:
        published = rows_of_paper if setting.full else {OURS: rows_of_paper[OURS]}
        rows = [
            {"Network": name, "Published top-5 error % (test set)": published_error(error)}
            | (ours if name == OURS else dict.fromkeys(ours, NOTHING))
            for name, error in published.items()
        ]
        notes.append(
            "Published: He et al. (2015), Table 5, on the test set, whose labels are not public; the paper's is of "
            f"{paper()['table5_ensembles']['note']}. Measured: on the validation set, so that no difference is given."
        )
        if not setting.full:
            notes.append("These are not the paper's runs: its error is shown for orientation only.")
    else:
        rows = [{"Network": "Ensemble", **ours}]
    if result and result["damaged_images"]:
        notes.append(f"{result['damaged_images']:,} images that were damaged for one of the members are left out.")
    if result:
        best = min((error for run in members for error in final_errors([run], EVALUATION, "top5_error")), default=None)
        notes.append(f"The best member alone: {best:.2f} % top-5." if best is not None else "")
    notes += [f"Left out: {reason}." for reason in left_out]
    title = f"Table 5. {setting.title}" if setting.full else f"Ensemble on {setting.title}"
    return as_table(title, setting, rows, notes)


def _measure(group: Sequence[Run]) -> tuple[list[Run], dict[str, Any] | None, list[str]]:
    """The members, their ensemble, and why others are none."""
    members: list[Run] = []
    left_out: list[str] = []
    result = None
    for run in group:
        try:
            _refuse_others(run)
            # Tried together with those before, it may turn out to be half done, or of other images.
            result = ensemble([*(member.folder for member in members), run.folder], EVALUATION)
            members.append(run)
        except BadInput as error:
            left_out.append(str(error))
    return members, result, left_out


def _refuse_others(run: Run) -> None:
    if run.state not in ("finished", "evaluated"):
        raise BadInput(f"{_name(run)} is {run.state}")
    info = read_json(prediction_files(run.folder, EVALUATION)[1]) or {}
    checkpoint, data = Path(info.get("checkpoint", "")), info.get("data", run.data)
    if info and not run.weights and iteration_of(checkpoint) != run.iterations:
        raise BadInput(f"the predictions of {_name(run)} are of {checkpoint.name}, not of its last checkpoint")
    if data != run.data:
        raise BadInput(f"the predictions of {_name(run)} are of {data}, not of {run.data}")


def _name(run: Run) -> str:
    return f"{run.network} ({describe(run)})" if run.weights else f"{run.network} (seed {run.seed})"


STUDY = Study(
    title="Table 5: the ensemble of networks on ImageNet",
    section="4.1",
    experiments=(*OPTIONS_B_AND_C, *BOTTLENECKS),
    evaluations=(EVALUATION,),
    command="predict",
    tables=tables,
    figures={},
)
