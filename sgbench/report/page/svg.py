"""SVG files of matplotlib as elements of a page: without what only a file needs, and with what they share held once."""

import re
from collections.abc import Sequence
from html import escape
from xml.etree import ElementTree

# Attributes whose numbers are coordinates and can be rounded; scales must keep their digits.
COORDINATES = ("d", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "points")
LONG = re.compile(r"-?\d*\.\d{3,}(?:e[-+]?\d+)?")
SHIFT = re.compile(r"translate\(([-.\d]+) ([-.\d]+)\)")
REFERENCE = re.compile(r"#([^\s)\"']+)")


def inline_svgs(svgs: Sequence[bytes], names: Sequence[str]) -> tuple[list[str], str]:
    """SVG files as elements that need no style and no ids of the page, each with a name for screen readers.

    The second value is an invisible element with the letters and marks that all of them refer to; it must be in the
    same page. Coordinates are rounded to a hundredth of a point.
    """
    paths: dict[str, str] = {}
    figures = []
    for number, (svg, name) in enumerate(zip(svgs, names, strict=True), start=1):
        root = ElementTree.fromstring(svg)
        _plain(root)
        _share(root, paths, f"figure-{number}-")
        root.attrib = {
            "id": f"figure-{number}",
            "role": "img",
            "aria-label": name,
            "viewBox": root.attrib["viewBox"],
            # What matplotlib's style sheet says of every element of its file.
            "style": "stroke-linejoin:round;stroke-linecap:butt",
        }
        figures.append(ElementTree.tostring(root, encoding="unicode").replace(" />", "/>"))
    held = "".join(f'<path id="{identity}"{shape}/>' for shape, identity in paths.items())
    # Not `display: none`: what is not displayed cannot be referred to in every browser.
    shared = f'<svg class="unseen" aria-hidden="true"><defs>{held}</defs></svg>' if held else ""
    return figures, shared


def _plain(element: ElementTree.Element) -> None:
    """Remove namespaces, metadata, style sheets, blanks and invisible digits; the parser drops comments."""
    element.tag = _local(element.tag)
    element.text = element.tail = None
    element.attrib = {_local(key): _short(_local(key), value) for key, value in element.attrib.items()}
    moved = SHIFT.fullmatch(element.attrib.get("transform", "")) if element.tag == "use" else None
    if moved and not {"x", "y"} & set(element.attrib):
        # Shorter, and most of a figure are letters.
        del element.attrib["transform"]
        element.attrib |= {key: value for key, value in zip("xy", moved.groups(), strict=True) if value != "0"}
    for child in list(element):
        if _local(child.tag) in ("metadata", "style"):
            element.remove(child)
        else:
            _plain(child)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _short(key: str, value: str) -> str:
    value = " ".join(value.split())
    if key in COORDINATES:
        return re.sub(r" ?([A-Za-z]) ?", r"\1", LONG.sub(_rounded, value))
    if key == "transform":
        return re.sub(r"translate\([^)]*\)", lambda found: LONG.sub(_rounded, found.group()), value)
    return re.sub(r"([:;]) ", r"\1", value) if key == "style" else value


def _rounded(number: re.Match[str]) -> str:
    text = f"{float(number.group()):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _share(root: ElementTree.Element, paths: dict[str, str], prefix: str) -> None:
    """Move paths that are referred to into `paths`, from what they are to their id; other ids get the prefix."""
    moved: dict[str, str] = {}
    for parent in list(root.iter("defs")):
        for path in list(parent.iter("path")):
            identity = path.attrib.pop("id", None)
            if identity is not None and path in list(parent):
                shape = "".join(f' {key}="{escape(value)}"' for key, value in path.attrib.items())
                moved[identity] = paths.setdefault(shape, f"mark-{len(paths) + 1}")
                parent.remove(path)
    wanted = {name for part in root.iter() for value in part.attrib.values() for name in REFERENCE.findall(value)}

    def renamed(found: re.Match[str]) -> str:
        name = found.group(1)
        if name in moved:
            return f"#{moved[name]}"
        return f"#{prefix}{name}" if name in named else found.group()

    named = {part.attrib["id"] for part in root.iter() if "id" in part.attrib} & wanted
    for part in root.iter():
        identity = part.attrib.pop("id", None)
        part.attrib = {key: REFERENCE.sub(renamed, value) for key, value in part.attrib.items()}
        if identity in named:
            part.attrib["id"] = f"{prefix}{identity}"
    _unwrap(root)


def _unwrap(element: ElementTree.Element) -> None:
    """Replace groups without attributes by their children."""
    children = []
    for child in element:
        _unwrap(child)
        bare = child.tag in ("g", "defs") and not child.attrib
        children += list(child) if bare and (child.tag == "g" or not len(child)) else [child]
    element[:] = children
