"""Models by name, as far as a suite needs to know them: architecture, prediction, checkpoints, abilities. No torch.

A name is that of an embedded model, of a public checkpoint (`public.py`), a model written out (`spec.py`), or a user's
own with its weights (`custom.py`).
"""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from sgbench.base.choices import unknown
from sgbench.base.errors import UserError, plain
from sgbench.files import digest
from sgbench.files.location import HUB, is_remote, local_path
from sgbench.guidance import RULES
from sgbench.models import custom, embedded, spec
from sgbench.models.architecture import Architecture, ClassArchitecture
from sgbench.models.components import NONE, NOT_FETCHED, find_folder, pipeline_sha256
from sgbench.models.families import FAMILIES
from sgbench.models.family import LATENT_CHANNELS, LATENT_SHRINK, Family, Request
from sgbench.models.own import MODELS
from sgbench.models.public import PUBLIC, Public
from sgbench.zoo import weights


class Checkpoint(NamedTuple):
    """Where weights are: in the package, in a file or a pipeline's folder (perhaps not fetched yet), in a network of
    this process, or nowhere; `none` is of a network without parameters."""

    kind: Literal["packaged", "file", "folder", "random", "live", "none"]
    path: Path | None = None
    source: str | None = None
    """Where the file can be fetched from, if anywhere."""
    sha256: str | None = None
    """The digest that the suite requires, if any."""


class ModelInfo(NamedTuple):
    """One model that a suite may name."""

    name: str
    identity: str
    """The name as far as images depend on it: without the folder of the weights."""
    family: Family
    architecture: Architecture
    main: Checkpoint
    auxiliary: Checkpoint | None
    in_pixels: bool = False
    public: Public | None = None
    resolution: int | None = None
    """Side of the finished image in pixels, where it does not follow from the architecture."""
    iterations: int | None = None
    """Training iterations of the main checkpoint, where known."""
    auxiliary_iterations: int | None = None
    own: str = ""
    """The name in MODELS of a model that a user brought; empty for those of sgbench."""

    @property
    def trained_sparse(self) -> bool:
        """Whether token sparsity was part of training; if not, a dropped token is out of distribution."""
        return self.family.trained_sparse

    @property
    def classes(self) -> int:
        """Number of classes of a class-conditional model, the null class apart."""
        if isinstance(self.architecture, custom.CustomArchitecture):
            assert self.architecture.card.classes is not None
            return self.architecture.card.classes
        assert isinstance(self.architecture, ClassArchitecture)
        return self.architecture.num_classes

    @property
    def random(self) -> bool:
        """Whether the weights are random: its images say nothing about quality."""
        return self.main.kind == "random"

    @property
    def has_no_folder(self) -> bool:
        """Whether it is a pipeline without a folder: nothing encodes captions or decodes latents."""
        return self.family.pipeline and self.random

    @property
    def image_side(self) -> int:
        """Side of the finished image in pixels."""
        return self.resolution or self.architecture.input_size * (1 if self.in_pixels else LATENT_SHRINK)

    @property
    def image_channels(self) -> int:
        """Channels of the finished image."""
        return self.architecture.in_channels if self.in_pixels else 3

    def checkpoint_hashes(self, rule: str) -> dict[str, str]:
        """sha256 of each checkpoint that `rule` calls; `random` and `not fetched` stand for themselves."""
        hashes = {"main": self._sha256(self.main, "final")}
        if RULES[rule].needs_auxiliary and self.auxiliary is not None:
            hashes["auxiliary"] = self._sha256(self.auxiliary, "early")
        return hashes

    def _sha256(self, checkpoint: Checkpoint, packaged: Literal["final", "early"]) -> str:
        if checkpoint.kind == "packaged":
            return weights.checkpoint_sha256(self.name, packaged)
        if checkpoint.kind == "live":
            return str(checkpoint.source)
        if checkpoint.path is None:
            return NONE if checkpoint.kind == "none" else spec.RANDOM
        if checkpoint.path.is_file():
            return digest.sha256_of(checkpoint.path)
        if checkpoint.kind == "folder" and checkpoint.path.is_dir():
            return pipeline_sha256(checkpoint.path)
        # The path distinguishes files that are not there yet; nothing is ever stored under such an id.
        return f"{NOT_FETCHED}: {checkpoint.path}"


def embedded_names() -> list[str]:
    """Names of the models in the package, in alphabetical order."""
    return embedded.recipe_names()


def names() -> list[str]:
    """Names of all models that have one: embedded, then public."""
    return [*embedded_names(), *PUBLIC]


@cache
def entry(name: str, where: str = "model") -> ModelInfo:
    """The model called `name`. Raises UserError for an unknown name and for a written-out model that is invalid."""
    if custom.is_custom(name):
        return _custom(name)
    if spec.is_spec(name):
        return _written_out(name, where)
    if name in PUBLIC:
        return _public(PUBLIC[name])
    if name in embedded_names():
        return _embedded(name)
    fix = f"choose one of: {', '.join(names())}; or write one out as in docs/checkpoints.md"
    raise unknown("model", name, names(), where, fix)


MODELS.forget = entry.cache_clear


def _custom(name: str) -> ModelInfo:
    """A model that a user brought: its card stands for family and architecture."""
    given = custom.parse(name)
    model, origin = MODELS[given.own], MODELS.origin(given.own)
    card = model.card
    if custom.is_live(given.own):
        main = Checkpoint("live", source=given.weights)
    elif given.weights in (spec.RANDOM, NONE):
        main = Checkpoint("random" if given.weights == spec.RANDOM else "none")
    else:
        main = _file(given.weights, given.sha256)
    return ModelInfo(
        name,
        given.without_paths(),
        custom.family_of(card, origin),
        custom.kind_of(card)(
            own=given.own,
            sha256=origin.sha256,
            card=card,
            input_size=card.shape[1],
            in_channels=card.shape[0],
            trained_gamma=card.trained_gamma,
        ),
        main,
        None if given.auxiliary is None else _file(given.auxiliary, None),
        in_pixels=card.samples_are_images,
        resolution=card.shape[1] * card.shrink,
        iterations=given.iterations,
        auxiliary_iterations=given.auxiliary_iterations,
        own=given.own,
    )


def _embedded(name: str) -> ModelInfo:
    """A packaged model, trained by flow matching like TREAD's network: the same prediction, clock and samplers."""
    trained = embedded.load_recipe(name)
    early = Checkpoint("packaged") if "early" in weights.card(name)["files"] else None
    family = replace(
        FAMILIES["tread-sit"],
        name="embedded",
        title=name,
        source="this project, docs/models.md",
        architecture=type(trained.architecture),
        drops=trained.summary,
        trained_sparse=trained.architecture.trained_gamma > 0,
        null_class=trained.training.label_dropout > 0,
    )
    return ModelInfo(
        name,
        name,
        family,
        trained.architecture,
        Checkpoint("packaged"),
        early,
        in_pixels=True,
        iterations=trained.training.steps,
        auxiliary_iterations=None if early is None else trained.training.early_step,
    )


def _public(public: Public) -> ModelInfo:
    letter, patch = public.size.split("/")
    family = FAMILIES[public.family]
    architecture = family.sized(Request(letter, int(patch), public.resolution // LATENT_SHRINK, None))
    checkpoint = Checkpoint("file", public.path, public.source)
    return ModelInfo(public.name, public.name, family, architecture, checkpoint, None, public=public)


def _written_out(name: str, where: str) -> ModelInfo:
    given = spec.parse(name, where)
    family = FAMILIES[given.family]
    if given.weights == spec.RANDOM:
        main = Checkpoint("random")
    elif family.pipeline:
        folder = find_folder(str(Path(given.weights.removeprefix(HUB)).expanduser()))
        main = Checkpoint("folder", folder or Path(given.weights), given.weights)
    else:
        main = _file(given.weights, given.sha256)
    try:
        # A pipeline that is not on this machine is taken to have the published sizes.
        architecture = given.architecture()
        if family.from_folder is not None and main.path is not None and main.path.is_dir():
            architecture = family.from_folder(main.path, given.routes, given.resolution)
    except ValueError as error:
        fix = "correct the route or the resolution" if given.size else "correct the sizes or the route"
        raise UserError(plain(error), where=where, fix=fix) from error
    if given.routes is not None and not architecture.has_routes:
        raise UserError(f"{family.title} has no routes", where=where, fix="remove route")
    if architecture.in_channels != LATENT_CHANNELS:
        # Some samplers guide three channels of the four that latents have in most cases: of others all are guided.
        family = replace(family, guided_channels=None)
    return ModelInfo(
        name,
        given.without_paths(),
        family,
        architecture,
        main,
        None if given.auxiliary is None else _file(given.auxiliary, None),
        resolution=given.resolution,
        iterations=given.iterations,
        auxiliary_iterations=given.auxiliary_iterations,
    )


def _file(source: str, sha256: str | None) -> Checkpoint:
    return Checkpoint("file", local_path(source), source if is_remote(source) else None, sha256)
