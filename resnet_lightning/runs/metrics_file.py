"""A run's metrics.csv and files like it: rows by iteration, read and written as text; importing this needs no torch."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resnet_lightning.errors import BadInput


def format_metrics(rows: Mapping[int, Mapping[str, Any]]) -> str:
    """Rows by iteration as the text of a metrics.csv."""
    # In the order of their first appearance, which is that of the layers where there is a column for each.
    columns = list(dict.fromkeys(name for iteration in sorted(rows) for name in rows[iteration]))
    text = io.StringIO()
    writer = csv.DictWriter(text, ["iteration", *columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"iteration": iteration, **rows[iteration]} for iteration in sorted(rows))
    return text.getvalue()


def read_metrics(path: Path) -> dict[int, dict[str, str]]:
    """The rows of a metrics.csv by iteration; nothing if there is no such file yet.

    Raises:
        BadInput: if the file is damaged.
    """
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        rows = list(csv.DictReader(io.StringIO(text)))
        if not text.endswith("\n") or any(None in row or None in row.values() for row in rows):
            raise ValueError("it is cut off")
        return {int(row.pop("iteration")): {name: cell for name, cell in row.items() if cell} for row in rows}
    except (OSError, ValueError, KeyError, AttributeError, csv.Error) as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else repr(error)
        raise BadInput(f"{path} is damaged ({reason}): put a whole one in its place") from error
