"""The elements of a page: whatever is written of them is escaped, wherever the words came from."""

import re
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

LINES = (
    "head",
    "meta",
    "title",
    "style",
    "h1",
    "h2",
    "p",
    "figure",
    "section",
    "caption",
    "tr",
    "tbody",
    "details",
    "li",
)


def make(tag: str, *children: Element | str, **attributes: str) -> Element:
    """An element of HTML; class_ and aria_label are the attributes class and aria-label.

    >>> as_text(make("td", "a < b", class_="number"))
    '<td class="number">a &lt; b</td>'
    """
    element = Element(tag, {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()})
    element.tail = "\n" if tag in LINES else None
    for child in children:
        if isinstance(child, Element):
            element.append(child)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + child
        else:
            element.text = (element.text or "") + child
    return element


def as_text(element: Element) -> str:
    """The HTML of an element."""
    return tostring(element, encoding="unicode", method="html")


def image(path: Path, alt: str) -> Element:
    """An SVG file, inside the page.

    Raises:
        OSError: if it cannot be read.
    """
    # Curves of thousands of points are half as large to a hundredth of a point, which nobody sees.
    drawing = re.sub(
        r'(?<= d=")[^"]+', lambda outline: re.sub(r"(\.\d\d)\d+", r"\1", outline[0]), path.read_text("utf-8")
    )
    # As an image of its own: the names inside of several drawings on one page would clash.
    source = "data:image/svg+xml;base64," + b64encode(drawing.encode()).decode()
    return make("figure", scrolling(make("img", src=source, alt=alt), "Figure"))


def grid(
    title: str, columns: Sequence[str], words: Sequence[str], bodies: Sequence[Element], caption: str = ""
) -> Element:
    """A table of body elements; columns of words are left-aligned, all others hold numbers.

    Args:
        title: for those who cannot see what stands above it.
        caption: above it.
    """
    # No line of a heading begins with the unit.
    heads = [make("th", column.replace(" %", "\xa0%"), scope="col", **_side(column, words)) for column in columns]
    head = make("thead", make("tr", *heads))
    above = [make("caption", make("span", caption))] * bool(caption)
    return scrolling(make("table", *above, head, *bodies, aria_label=title), title)


def row(columns: Sequence[str], words: Sequence[str], cells: Sequence[Element | str], **attributes: str) -> Element:
    """A row of a table of these columns; its first cell names it."""
    (first, *others), (name, *values) = columns, cells
    made = [make("th", name, scope="row", **_side(first, words))]
    for column, value in zip(others, values, strict=True):
        # A mean and its deviation stay on one line.
        kept = value.replace(" ± ", "\xa0±\xa0") if isinstance(value, str) else value
        made.append(make("td", kept, **_side(column, words)))
    return make("tr", *made, **attributes)


def scrolling(element: Element, label: str) -> Element:
    """A box in which what is wider than the screen can be moved, with the keyboard too."""
    return make("div", element, class_="scrolling", tabindex="0", role="region", aria_label=label)


def _side(column: str, words: Sequence[str]) -> dict[str, str]:
    return {"class_": "words"} if column in words else {}
