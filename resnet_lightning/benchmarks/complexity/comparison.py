"""Does the order of networks hold? Rank correlations with operations, with the lecture, and with another device."""

from collections.abc import Mapping, Sequence
from math import exp, log
from statistics import median
from typing import Any

from resnet_lightning.benchmarks.complexity.results import Result, common_batch, rank_correlation
from resnet_lightning.benchmarks.complexity.tables import bound_by, fractions, table
from resnet_lightning.reporting.cells import NOTHING
from resnet_lightning.reporting.table import Table
from resnet_lightning.runs.reading import paper

FEWEST = 4  # networks, below which a correlation says nothing
OUTLIERS = 2


def order_table(results: Sequence[Result], limits: Mapping[str, Any]) -> Table:
    """Forward times beside operations and beside published times, and who falls out of the line."""
    published = paper()["complexity"]["forward"]
    batch = common_batch(results)
    known = [result for result in results if result.name in published["milliseconds"]]
    theirs = {result.name: published["milliseconds"][result.name] / published["batch"] for result in known}
    rows = [
        {
            "Network": result.name,
            "Multiply-adds (1e9)": f"{result.counts['macs'] / 1e9:.3f}",
            "Forward (ms an image)": f"{1e3 * result.forward(batch).median:.3g}",
            "ms per 1e9": f"{1e12 * result.forward(batch).median / result.counts['macs']:.3g}",
            "Published (ms an image)": f"{theirs[result.name]:.3g}" if result.name in theirs else NOTHING,
        }
        for result in sorted(results, key=lambda result: result.forward(batch).median)
    ]
    times = [result.forward(batch).median for result in results]
    notes = [
        f"With {batch} image{'s' * (batch > 1)}. Spearman's rank correlation of forward time with operations: "
        + correlation(times, [result.counts["macs"] for result in results])
        + "; with the published times: "
        + correlation([result.forward(batch).median for result in known], [theirs[result.name] for result in known])
        + ".",
        f"Published: {published['device']}, batches of {published['batch']}; {published['source']}. The figure of the "
        "lecture itself, after Canziani, Paszke and Culurciello (2016), prints no numbers.",
        *(explain(result, factor, batch, limits) for result, factor in outliers(results, batch)),
    ]
    return table("The order of networks by forward time", rows, notes)


def correlation(one: Sequence[float], other: Sequence[float]) -> str:
    """In words, with the number of networks."""
    if len(one) < FEWEST:
        return f"not told for fewer than {FEWEST} networks"
    return f"{rank_correlation(one, other):.2f} ({len(one)} networks)"


def outliers(results: Sequence[Result], batch: int) -> list[tuple[Result, float]]:
    """The networks whose time is furthest from what operations suggest, each with how many times that is."""
    if len(results) < FEWEST:
        return []
    rates = [log(result.forward(batch).median / result.counts["macs"]) for result in results]
    usual = median(rates)
    found = sorted(zip(results, rates, strict=True), key=lambda pair: -abs(pair[1] - usual))
    return [(result, exp(rate - usual)) for result, rate in found[:OUTLIERS]]


def explain(result: Result, factor: float, batch: int, limits: Mapping[str, Any]) -> str:
    """An outlier, by the fraction of the limit."""
    arithmetic, memory = fractions(result, batch, limits)
    bound = bound_by(arithmetic, memory)
    return (
        f"{result.name} takes {factor:.2g} times what its operations suggest (the median of all networks). It comes to "
        f"{arithmetic:.0%} of the arithmetic limit and to {memory:.0%} of the memory's: it is bound by {bound}."
    )


def device_table(results: Sequence[Result], others: Sequence[Result], here: str, there: str) -> Table:
    """Forward times of two devices, at the largest batch size that a network was measured with on both."""
    theirs = {result.name: result for result in others}
    rows, pairs = [], []
    for result in results:
        batch = common_batch([result, theirs[result.name]]) if result.name in theirs else 0
        if not batch:
            continue
        pair = result.forward(batch).median, theirs[result.name].forward(batch).median
        pairs.append(pair)
        rows.append(
            {
                "Network": result.name,
                "Batch": str(batch),
                "Here (ms an image)": f"{1e3 * pair[0]:.3g}",
                "There (ms an image)": f"{1e3 * pair[1]:.3g}",
                "Here / there": f"{pair[0] / pair[1]:.2f}",
            }
        )
    rows = rows or [{"Network": "no network and batch size was measured on both"}]
    ranks = correlation([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    return table("Two devices", rows, [f"Here: {here}. There: {there}. Spearman's rank correlation: {ranks}."])
