"""The paper's tables with our measured numbers beside the published ones."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

from resnet_lightning.reporting.runs import Group, Run, finished_errors, mean_and_spread, paper

LAST_ITERATION = "Measured errors are those at the last iteration, never the best ones."
PLUS_MINUS = "± is the standard deviation over seeds."


@dataclass
class Table:
    """Cells as text, all columns but the first aligned to the right."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        lines = [f"**{self.title}**", "", "| " + " | ".join(self.columns) + " |"]
        lines.append("|---|" + "---:|" * (len(self.columns) - 1))
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join([*lines, "", *[f"{note}  " for note in self.notes]]).rstrip() + "\n"

    def csv(self) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [["table", *self.columns]] + [[self.title, *r] for r in self.rows]
        )
        return text.getvalue()

    def show(self, console: Console) -> None:
        table = RichTable(title=self.title, title_style="bold", title_justify="left", box=SIMPLE_HEAD)
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        for note in self.notes:
            console.print(note, highlight=False)
        console.print()


def table6(group: Group | None) -> Table:
    """Table 6: test error on CIFAR-10.

    A full-length group (or None, when nothing has been run) gets every row of the paper, another one its own networks.
    """
    published = paper()["table6_cifar10"]
    full = group is None or group.full_length
    title = f"Table 6: test error (%) on {group.title}" if group else "Table 6: test error (%) on CIFAR-10"
    columns = ["Network", "Layers", "Parameters", "Published", "Measured", "Seeds", "Difference", "Training error"]
    table = Table(title, [*columns, "Iterations", "Data"])
    if full:
        for row in published["other"]:
            error = f"{row['mean']:.2f} ± {row['std']:.2f}" if "mean" in row else f"{row['error']:.2f}"
            cells = [row["method"], str(row.get("layers", "–")), row.get("params", "–"), error]
            table.rows.append(cells + ["–"] * 6)
    measured = {runs[0].network: runs for runs in group.networks()} if group else {}
    for name in [f"ResNet-{depth}" for depth in published["resnet"]] if full else measured:
        measured.setdefault(name, ())
    order = sorted(measured, key=lambda name: (name.startswith("ResNet"), int(name.split("-")[1].split()[0]), name))
    for name in order:
        table.rows.append(table6_row(name, measured[name], full))
    table.notes = [
        "Published: He et al., table 6; ResNet-110 is the mean of five runs (the best is 6.43), Highway-19 of several.",
        f"{LAST_ITERATION} {PLUS_MINUS}",
    ]
    if group and not full:
        table.notes.append("These runs are not the paper's: the published errors are for orientation only.")
    images = {run.train_images for run in group.runs} if group else set()
    if len(images) == 1:
        table.notes.append(f"Trained on {images.pop():,} images.")
    return table


def table6_row(name: str, runs: Sequence[Run], full: bool) -> list[str]:
    depth = int(name.split("-")[1].split()[0])
    row = paper()["table6_cifar10"]["resnet"].get(depth, {}) if name == f"ResNet-{depth}" else {}
    published = row.get("mean", row.get("error"))
    said = "–" if published is None else f"{published:.2f}" + (f" ± {row['std']:.2f}" if "std" in row else "")
    errors = finished_errors(runs, "test/error")
    difference = f"{mean(errors) - published:+.2f}" if full and errors and published is not None else "–"
    parameters = f"{runs[0].parameters / 1e6:.2f}M" if runs else row.get("params", "–")
    iterations, data = (f"{runs[0].iterations:,}", runs[0].data) if runs else ("–", "–")
    training = mean_and_spread(finished_errors(runs, "train/error"))
    return [
        name, str(depth), parameters, said, measured_text(runs, "test/error"), str(len(errors)) if runs else "–",
        difference, training, iterations, data,
    ]  # fmt: skip


def measured_text(runs: Sequence[Run], column: str) -> str:
    """Mean and spread of the finished runs, and what is to be said of the others."""
    words = [mean_and_spread(finished_errors(runs, column))]
    for run in runs:
        if run.state == "diverged":
            words.append(f"seed {run.seed} diverged")
        elif run.state == "unfinished":
            now = run.last(column)
            error = "" if now is None else f": {now:.2f}"
            words.append(f"(seed {run.seed} at {run.iteration:,}{error})")
    return " ".join(words[1:] if words[0] == "–" and len(words) > 1 else words)


def figure_table(group: Group, name: str) -> Table:
    """The errors at the end of figure 1's and figure 6's curves, and what they say of degradation."""
    figures = paper()["figures"]["fig6"]["read_off"]
    compare = group.data.startswith("CIFAR-10")
    published = ["Published training error", "Published test error"] if compare else []
    columns = ["Network", "Layers", *published, "Training error", "Test error", "Seeds", "Iterations"]
    table = Table(f"{name}: errors (%) on {group.title}", columns)
    for runs in group.networks():
        first = runs[0]
        cells = [first.network, str(first.depth)]
        if compare:
            cells += [approximate(figures["end_train"].get(first.network))]
            cells += [approximate(figures["end_test"].get(first.network))]
        cells += [measured_text(runs, "train/error"), measured_text(runs, "test/error")]
        table.rows.append([*cells, str(len(finished_errors(runs, "test/error"))), f"{group.iterations:,}"])
    if compare:
        table.notes.append("Published: read off figure 6 (training ± 0.5, test ± 0.2).")
    table.notes.append(f"{LAST_ITERATION} {PLUS_MINUS}")
    if sentence := degradation_sentence(group):
        table.notes.append(sentence)
    return table


def approximate(value: float | str | None) -> str:
    return "–" if value is None else f"≈ {value}" if isinstance(value, float) else str(value)


def degradation_sentence(group: Group) -> str | None:
    """What depth costs plain and residual networks in training error, if both were trained at two depths."""
    errors: dict[bool, dict[int, float]] = {False: {}, True: {}}
    for runs in group.networks():
        values = finished_errors(runs, "train/error")
        if values and runs[0].shortcut in ("none", "A"):
            errors[runs[0].residual][runs[0].depth] = mean(values)
    depths = sorted(errors[False].keys() & errors[True].keys())
    if len(depths) < 2:
        return None
    shallow, deep = depths[0], depths[-1]
    plain, residual = (errors[kind][deep] - errors[kind][shallow] for kind in (False, True))
    if plain <= 0:
        return f"No degradation here: plain-{deep} has {plain:+.2f} points of training error on plain-{shallow}."
    rest = (
        f"they remove {100 * (plain - residual) / plain:.0f} % of it" if residual < plain else "they do not help here"
    )
    return (
        f"Degradation: going from {shallow} to {deep} layers costs the plain network {plain:.2f} points of training "
        f"error and the residual network {residual:+.2f}: with shortcuts, {rest}."
    )
