"""The references by name, as far as they are known without reading images. No torch, no numpy.

Names: the packaged `fashion-mnist`; `shapes`, drawn where it is needed; ADM's reference batches `imagenet-256` and
`imagenet-512`, looked for where `sgbench reference fetch` puts them. Anything else is the path of a built reference, an
npz in ADM's layout, or images.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from sgbench.base.choices import unknown
from sgbench.base.errors import UserError
from sgbench.files.location import models_folder
from sgbench.zoo import weights as zoo

CARD = "reference.json"
ADM = "https://openaipublic.blob.core.windows.net/diffusion/jul-2021/ref_batches/imagenet"
PACKAGED = {"fashion-mnist": 32}
DRAWN = {"shapes": 32}
PACKAGED_WORKS = {"fashion-mnist": ("xiao2017fashionmnist",)}
HOME_PACKAGED, HOME = "fashion-cnn", "inception"


class PublicReference(NamedTuple):
    """A published reference batch."""

    name: str
    source: str
    file: str
    side: int
    note: str
    works: tuple[str, ...]
    """What to cite: keys of `report/citations/references.bib`."""

    @property
    def path(self) -> Path:
        """Where the file is looked for and fetched to."""
        return folder() / self.name / self.file


PUBLIC = {
    f"imagenet-{side}": PublicReference(
        f"imagenet-{side}",
        f"{ADM}/{side}/{file}",
        file,
        side,
        "moments of the training set, 10,000 images for precision and recall; MIT code, ImageNet terms",
        ("deng2009imagenet", "dhariwal2021adm"),
    )
    for side, file in ((256, "VIRTUAL_imagenet256_labeled.npz"), (512, "VIRTUAL_imagenet512.npz"))
}


def works_of(name: str) -> tuple[str, ...]:
    """What to cite for a reference; nothing for a user's own."""
    return PUBLIC[name].works if name in PUBLIC else PACKAGED_WORKS.get(name, ())


def folder() -> Path:
    """Where references are downloaded and their features are kept: `references` in the models folder."""
    return models_folder() / "references"


def home_of(reference: str) -> str:
    """The home extractor of a reference by its name alone; a built one may say otherwise in its card."""
    if reference in PACKAGED:
        return HOME_PACKAGED
    if reference in DRAWN:
        return HOME
    card = Path(reference).expanduser() / CARD
    return str(read_card(card.parent)["home"]) if card.is_file() else HOME


def packaged_folder(reference: str = "fashion-mnist") -> Path:
    """The folder of a packaged reference."""
    return zoo.FOLDER.parent / "references" / reference


def lacks(reference: str, extractor: str, output: str) -> bool:
    """Whether a reference, by its card alone, has nothing of an extractor's output, and no images to make it of."""
    folder = packaged_folder(reference) if reference in PACKAGED else Path(reference).expanduser()
    return (folder / CARD).is_file() and f"{extractor}-{output}" not in read_card(folder)["parts"]


def side_of(reference: str) -> int | None:
    """The width of a reference's images, if it is known without reading them."""
    if reference in (PACKAGED | DRAWN):
        return (PACKAGED | DRAWN)[reference]
    if reference in PUBLIC:
        return PUBLIC[reference].side
    card = Path(reference).expanduser() / CARD
    return read_card(card.parent).get("side") if card.is_file() else None


def check_name(reference: str, where: str) -> None:
    """Raises UserError for an unknown name; a path may not exist yet."""
    known = [*PACKAGED, *DRAWN, *PUBLIC]
    if reference in known or "/" in reference or Path(reference).exists():
        return
    raise unknown(
        "reference",
        reference,
        known,
        where,
        f"choose one of {', '.join(known)}, or give the path of a built reference, an npz or a folder of images",
    )


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a built reference. Raises UserError for one that is missing or damaged."""
    path = folder / CARD
    try:
        card = json.loads(path.read_text())
    except OSError as error:
        raise UserError(
            "there is no reference", where=str(path), fix="build one: sgbench reference build IMAGES --out FOLDER"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError("the card of the reference is damaged", where=str(path), fix="build it again") from error
    if not isinstance(card, dict) or not {"name", "home", "sha256", "what", "parts"} <= set(card):
        raise UserError("this is not the card of a reference", where=str(path), fix="build it again")
    return card
