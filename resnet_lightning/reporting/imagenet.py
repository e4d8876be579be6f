"""The measured errors on ImageNet beside the paper's: Tables 2, 3 and 4, and the ends of the curves of Figure 4."""

from collections.abc import Sequence

from resnet_lightning.reporting.cells import about, length, setting_table
from resnet_lightning.reporting.comparison import UNMEASURED, Column, comparison, curve_ends, names_of
from resnet_lightning.reporting.degradation import degradation_sentence
from resnet_lightning.reporting.groups import by_network, groups
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import Run, paper

TOP1 = Column("10-crop", "top-1", "ten_crop", "error", 0)
TOP5 = Column("10-crop", "top-5", "ten_crop", "top5_error", 1)
CENTRE = (
    Column("Centre-crop", "top-1", "center", "error"),
    Column("Centre-crop", "top-5", "center", "top5_error"),
)
MULTI_SCALE = (
    Column("Multi-scale", "top-1", "multi_scale", "error", 0),
    Column("Multi-scale", "top-5", "multi_scale", "top5_error", 1),
    Column("No-flip", "top-1", "multi_scale", "error_without_flips"),
    Column("No-flip", "top-5", "multi_scale", "top5_error_without_flips"),
)


def table2(runs: Sequence[Run]) -> list[Table]:
    """Table 2, top-1 errors in percent, plain networks and ResNets: one table per setting."""
    table = paper()["table2_plain_vs_resnet"]
    published = {
        f"{name}-{depth}": [error]
        for name, family in (("plain", "plain"), ("ResNet", "resnet"))
        for depth, error in table[family].items()
    }
    steps = [f"{table[family][34] - table[family][18]:+.2f}" for family in ("plain", "resnet")]
    note = (
        f"Published: He et al. (2015), Table 2: from 18 to 34 layers {steps[0]} points (plain) and {steps[1]} (ResNet)."
    )
    return comparison("Table 2", runs, published, (TOP1,), CENTRE[:1], note)


def table3(runs: Sequence[Run]) -> list[Table]:
    """Table 3, top-1 and top-5 errors in percent of 10-crop testing: one table per setting."""
    note = "Published: He et al. (2015), Table 3; its VGG-16 is its authors' own test. ResNet-50 and deeper: option B."
    return comparison("Table 3", runs, paper()["table3_10crop_val"]["rows"], (TOP1, TOP5), CENTRE, note)


def table4(runs: Sequence[Run]) -> list[Table]:
    """Table 4, top-1 and top-5 errors in percent of single networks tested at several scales: one table per setting."""
    note = (
        "Published: He et al. (2015), Table 4, on the validation set († on the test set). It does not say whether "
        "flipped images were averaged too: measured with them (multi-scale) and without (no-flip)."
    )
    return comparison("Table 4", runs, paper()["table4_single_model"]["rows"], MULTI_SCALE, (), note)


def figure4_table(runs: Sequence[Run]) -> list[Table]:
    """The errors (percent) at which the curves of Figure 4 end, in the paper and here: one table per setting."""
    read_off = paper()["figures"]["fig4"]["read_off"]
    ends, tolerance = read_off["end_55e4"], read_off["tol"]
    note = (
        f"Published: read off the printed Figure 4 at its end, 550,000 iterations, to ±{tolerance['train']} (training) "
        f"and ±{tolerance['val']} (validation, centre crops)."
    )
    tables = []
    for setting, group in groups([run for run in runs if not run.weights]) or [(UNMEASURED, [])]:
        networks = by_network(group)
        rows = []
        for name in names_of(setting, ends, networks):
            own = networks.get(name, [])
            row = {"Network": name}
            if setting.imagenet:
                row["Published training error %"] = about(ends[name][1] if name in ends else None)
                row["Published validation error %"] = about(ends[name][0] if name in ends else None)
            rows.append(row | curve_ends(own) | length(setting, own))
        notes = [degradation_sentence(group), note if setting.imagenet else ""]
        tables.append(setting_table("Figure 4", setting, group, rows, notes))
    return tables
