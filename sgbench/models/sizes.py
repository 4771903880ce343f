"""Keys for the sizes of a written-out model: how they go together, and what the constructors call them. No torch."""

import re
from collections.abc import Callable, Mapping

from sgbench.base.errors import UserError
from sgbench.models.family import DATA_KEYS, LATENT_SHRINK, SHAPE_KEYS, Family

Wrong = Callable[[str, str], UserError]
"""The error for what is wrong and what to do about it."""
OWN_KEYS = (*SHAPE_KEYS, *DATA_KEYS)
NO_RESOLUTION, PIXELS = "resolution {} is not supported", "give pixels, a multiple of 64, such as 256 or 512"
# What the constructors call our keys.
ARGUMENTS = {
    **{"hidden_size": "width", "num_heads": "heads", "patch_size": "patch", "input_size": "latent_side"},
    **{"in_channels": "channels", "num_classes": "classes"},
}
SIZE_WAYS = "`size: XL/2`, or depth, width, heads and patch, or `config: FILE`"


def in_our_keys(text: str) -> str:
    """A sentence about constructor arguments in the keys of a suite."""
    for theirs, ours in ARGUMENTS.items():
        text = re.sub(rf"\b{theirs}\b", ours, text)
    return text


def check_size(text: Mapping[str, str], known: Family, wrong: Wrong) -> None:
    """Whether a model's size is given in one of the three ways, in keys that mean something to its family."""
    shape = [key for key in SHAPE_KEYS if key in text]
    for key in OWN_KEYS:
        if key in text and key not in known.keys:
            raise wrong(f"the family {known.name} takes no {key}", f"leave it out; it takes {', '.join(known.keys)}")
    if "config" in text:
        for key in ("size", *OWN_KEYS):
            if key in text:
                raise wrong(f"both config and {key} are given", f"leave {key} out: the config says it")
    elif "size" in text and shape:
        raise wrong(f"both size and {shape[0]} are given", f"write {SIZE_WAYS}")
    elif not shape and "size" not in text and not known.pipeline:
        raise wrong("a model needs size", f"write {SIZE_WAYS}")
    elif shape and len(shape) < len(SHAPE_KEYS):
        missing = next(key for key in SHAPE_KEYS if key not in text)
        raise wrong(f"a model with a {shape[0]} of its own needs {missing}", f"add `{missing}: ...`")


def pixels(text: Mapping[str, str], side: int | None, wrong: Wrong) -> int:
    """Pixels of the finished image: of latents of `side`, or of `latent_side`, 8 times that where nothing is said."""
    side = int(text["latent_side"]) if "latent_side" in text else side
    resolution = int(text.get("resolution", 256 if side is None else LATENT_SHRINK * side))
    if side is None and (resolution == 0 or resolution % 64):
        raise wrong(NO_RESOLUTION.format(resolution), PIXELS)
    if side is not None and (resolution == 0 or resolution % side):
        fix = f"give the pixels of a finished image, such as {LATENT_SHRINK * side}, or leave it out"
        raise wrong(f"resolution {resolution} is not a multiple of the side of its latents, {side}", fix)
    return resolution
