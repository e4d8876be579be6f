"""`report`: a study's tables and figures from the runs that there are, in runs/ and in results/, finished or not."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from resnet_lightning.reporting.figures import save
from resnet_lightning.reporting.labels import labelled
from resnet_lightning.reporting.page import Picture, write_page
from resnet_lightning.reporting.settings import by_network, groups, shown
from resnet_lightning.reporting.table import print_tables, write_tables
from resnet_lightning.runs.folder import RESULTS, RUNS, make_folder
from resnet_lightning.runs.reading import Run, load_runs
from resnet_lightning.studies import Study, file_name, find_study, name_given

REPORTS = Path("reports")


def main(arguments: Sequence[str]) -> None:
    """`resnet-lightning report`."""
    if name := name_given("report", arguments):
        report(name)


def report(name: str) -> None:
    """Prints a study's tables and writes them, its figures and a page of both into the reports folder.

    Args:
        name: of a study, or the file of one's own.

    Raises:
        BadInput: for an unknown study or a folder that cannot be written to.
    """
    study = find_study(name)
    runs = load_runs(study.experiments, RUNS, RESULTS)
    if not show(study, file_name(name), shown(labelled(runs) if study.own else runs)):
        print(f"nothing has been run yet: {f'resnet-lightning study {name}' if study.own else f'make {name}'}")


def show(study: Study, name: str, runs: Sequence[Run]) -> bool:
    """Prints and writes what a study shows of these runs; whether there is anything.

    Args:
        name: of the files in the reports folder.
    """
    make_folder(REPORTS)
    tables = study.tables(runs)
    if not tables:
        return False
    print_tables(tables)
    written = write_tables(tables, REPORTS, name)
    pictures = []
    for ending, figure in study.figures.items():
        apart = drawn_from(study, name + ending, runs)
        for stem, setting, group in [(name + ending, "", runs)] if figure.together else apart:
            if not (drawn := figure.draw(group)):
                continue
            png, svg = save(drawn, REPORTS, stem)
            words = f"{figure.words}: {', '.join(by_network(group))}; {setting}" if group else figure.words
            pictures.append(Picture(svg, words, setting))
            written += [png, svg]
    written.append(write_page(study.title, study.section, tables, pictures, runs, REPORTS, name))
    print("written: " + ", ".join(map(str, written)))
    return True


def drawn_from(study: Study, name: str, runs: Sequence[Run]) -> Iterator[tuple[str, str, list[Run]]]:
    """The file's name, the setting in words, and the runs of each figure: one per setting; one of nothing trained."""
    if not study.experiments:
        yield name, "", []
    stems: set[str] = set()
    for setting, group in groups([run for run in runs if not run.weights]):  # weights have no curves
        stem = name + ("@" + ",".join(group[0].changes) if group[0].changes else "")
        if stem in stems:  # the same on other data
            stem += f" on {setting.data}"
        if stem in stems:  # of other networks
            stem += f", {len(stems) + 1}"
        stems.add(stem)
        yield stem, setting.title, group
