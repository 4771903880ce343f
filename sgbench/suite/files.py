"""Whether the files of a model on this machine are of its sizes: weights, and the autoencoder of its latents. No torch.

Files that are not there yet are not checked: a suite may be planned without them.
"""

from sgbench.base.errors import UserError
from sgbench.files.headers import shapes
from sgbench.models import spec
from sgbench.models.catalogue import ModelInfo
from sgbench.models.components import autoencoder_sizes
from sgbench.models.family import LATENT_CHANNELS, LATENT_SHRINK, SHAPE_KEYS
from sgbench.models.fit import VARIANCE, Misfit, misfit


def check_weights(model: ModelInfo, where: str) -> None:
    """Raise UserError naming tensor, shapes and key where a checkpoint is of other sizes than the model."""
    for checkpoint in (model.main, model.auxiliary):
        if checkpoint is None or checkpoint.kind != "file" or checkpoint.path is None:
            continue
        found = misfit(model.family, model.architecture, shapes(checkpoint.path))
        if found is not None:
            what = f"{checkpoint.path} does not fit: {found.what}"
            raise UserError(what, where=where, fix=_mend(model, found))


def _mend(model: ModelInfo, found: Misfit) -> str:
    """What to write in the suite so that model and weights fit."""
    if not spec.is_spec(model.name):
        return "fetch the file again, or write the model out with its own sizes"
    given = spec.parse(model.name, "model")
    if found.key == "family":
        return "name the family that the weights are of"
    if given.config is not None:
        return "correct the config"
    if found.key == VARIANCE:
        return f"write a config with `{VARIANCE}: {found.value}`"
    if found.key in SHAPE_KEYS and given.size:
        return "write another size, or depth, width, heads and patch in its place"
    if found.key == "latent_side" and given.latent_side is None and isinstance(found.value, int):
        return f"write `resolution: {LATENT_SHRINK * found.value}`, or `latent_side: {found.value}`"
    return f"write `{found.key}: {found.value}`"


def check_autoencoder(model: ModelInfo, named: str, where: str) -> None:
    """Raise UserError where the decoder takes latents of other channels, or makes images of another side.

    `named` is what the suite says; empty for the family's own, which is for 4 channels at an eighth of the side.
    """
    own = model.family.autoencoder
    if model.in_pixels or model.family.pipeline:
        return
    usual = (LATENT_CHANNELS, LATENT_SHRINK)
    sizes = usual if named in ("", own) else autoencoder_sizes(named)
    if sizes is None:
        return
    channels, shrink = sizes
    a, name = model.architecture, named or own
    if channels != a.in_channels:
        raise UserError(
            f"the latents of {model.name} have {a.in_channels} channels, and those of {name} have {channels}",
            where=where,
            fix="name the autoencoder that the model was trained with, or `none` for throughput benchmarks",
        )
    if a.input_size * shrink != model.image_side:
        side = a.input_size * shrink
        raise UserError(
            f"{name} makes images of {side} pixels of latents of {a.input_size}, and the resolution of {model.name} is "
            f"{model.image_side}",
            where=where,
            fix=f"write `resolution: {side}` and `latent_side: {a.input_size}`, or name the autoencoder of the model",
        )
