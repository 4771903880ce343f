"""Models by name, as far as a suite needs to know them: architecture, prediction, checkpoints, abilities. No torch.

A name is that of an embedded model, of a public checkpoint (`public.py`), or a written-out model (`spec.py`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from sgbench.base.choices import unknown
from sgbench.base.errors import UserError, plain
from sgbench.files import digest
from sgbench.files.location import HUB, is_remote, local_path
from sgbench.guidance import RULES
from sgbench.models import recipe, spec
from sgbench.models.architectures import Architecture, PRXArchitecture
from sgbench.models.architectures.base import ClassArchitecture
from sgbench.models.autoencoder_files import find_folder
from sgbench.models.families import FAMILIES, Family
from sgbench.models.families.family import LATENT_SHRINK, Request
from sgbench.models.pipeline_folder import pipeline_sha256, read_pipeline
from sgbench.models.public import PUBLIC, Public
from sgbench.zoo import weights

NOT_FETCHED = "not fetched"


class Checkpoint(NamedTuple):
    """Where weights are: in the package, in a file or a pipeline's folder (not there yet, maybe), or nowhere."""

    kind: Literal["packaged", "file", "folder", "random"]
    path: Path | None = None
    source: str | None = None
    """Where the file can be fetched from, if anywhere."""
    sha256: str | None = None
    """The digest it must have, if the suite insists on one."""


class Entry(NamedTuple):
    """One model that a suite may name."""

    name: str
    identity: str
    """The name as far as images depend on it: without the folder that the weights lie in."""
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

    @property
    def trained_sparse(self) -> bool:
        """Whether token sparsity was part of training; if not, a dropped token is out of distribution."""
        return self.family.trained_sparse

    @property
    def can_drop_tokens(self) -> bool:
        """Whether there is a place where tokens leave."""
        return self.architecture.can_drop_tokens

    @property
    def can_drop_path(self) -> bool:
        """Whether the middle blocks can be left out altogether."""
        return self.architecture.drops_path

    @property
    def classes(self) -> int:
        """Number of classes; the null class has this index. Only models of classes have any."""
        assert isinstance(self.architecture, ClassArchitecture)
        return self.architecture.num_classes

    @property
    def random(self) -> bool:
        """Whether the weights are random: its images say nothing about quality."""
        return self.main.kind == "random"

    @property
    def unread(self) -> bool:
        """Whether it is a pipeline without a folder: nothing reads captions or decodes latents."""
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
        if checkpoint.path is None:
            return spec.RANDOM
        if checkpoint.path.is_file():
            return digest.sha256_of(checkpoint.path)
        if checkpoint.kind == "folder" and checkpoint.path.is_dir():
            return pipeline_sha256(checkpoint.path)
        # The path tells two files apart that nobody has seen yet; nothing is ever stored under such an id.
        return f"{NOT_FETCHED}: {checkpoint.path}"


def embedded_names() -> list[str]:
    """Names of the models in the package, in alphabetical order."""
    return recipe.recipe_names()


def names() -> list[str]:
    """Names of all models that have one: embedded, then public."""
    return [*embedded_names(), *PUBLIC]


@cache
def entry(name: str, where: str = "model") -> Entry:
    """The model called `name`. Raises UserError when there is none, or a written-out one makes no sense."""
    if spec.is_spec(name):
        return _written_out(name, where)
    if name in PUBLIC:
        return _public(PUBLIC[name])
    if name not in embedded_names():
        raise unknown(
            "model",
            name,
            names(),
            where,
            f"choose one of: {', '.join(names())}; or write one out as in docs/checkpoints.md",
        )
    trained = recipe.load_recipe(name)
    early = Checkpoint("packaged") if "early" in weights.card(name)["files"] else None
    # Trained by flow matching like TREAD's network: the same prediction, clock and samplers.
    family = replace(
        FAMILIES["tread-sit"],
        name="embedded",
        title=name,
        source="this project, docs/models.md",
        drops=trained.summary,
        trained_sparse=trained.architecture.trained_gamma > 0,
        null_class=trained.training.label_dropout > 0,
        text=trained.architecture.family == "textdit",
    )
    return Entry(
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


def _file(source: str, sha256: str | None) -> Checkpoint:
    return Checkpoint("file", local_path(source), source if is_remote(source) else None, sha256)


def _public(public: Public) -> Entry:
    letter, patch = public.size.split("/")
    family = FAMILIES[public.family]
    architecture = family.sized(Request(letter, int(patch), public.resolution // LATENT_SHRINK, None))
    checkpoint = Checkpoint("file", public.path, public.source)
    return Entry(public.name, public.name, family, architecture, checkpoint, None, public=public)


def _written_out(name: str, where: str) -> Entry:
    asked = spec.parse(name, where)
    family = FAMILIES[asked.family]
    if family.pipeline and asked.weights != spec.RANDOM:
        return _pipeline(name, asked, family, where)
    try:
        architecture = family.sized(asked.request)
    except ValueError as error:
        raise UserError(
            plain(error),
            where=where,
            fix="correct the route or the resolution",
        ) from error
    if asked.routes is not None and not architecture.has_routes:
        raise UserError(f"{family.title} has no routes", where=where, fix="remove route")
    main = Checkpoint("random") if asked.weights == spec.RANDOM else _file(asked.weights, asked.sha256)
    auxiliary = None if asked.auxiliary is None else _file(asked.auxiliary, None)
    return Entry(
        name,
        asked.without_paths(),
        family,
        architecture,
        main,
        auxiliary,
        iterations=asked.iterations,
        auxiliary_iterations=asked.auxiliary_iterations,
    )


def _pipeline(name: str, asked: spec.Spec, family: Family, where: str) -> Entry:
    """A model by its folder, or by a hub id; of the published sizes as long as it is not on this machine."""
    folder = find_folder(str(Path(asked.weights.removeprefix(HUB)).expanduser()))
    try:
        published = family.sized(asked.request)
        assert isinstance(published, PRXArchitecture)
        routes = published.routes if asked.routes is None else asked.routes
        architecture: Architecture = published if folder is None else read_pipeline(folder, routes, asked.resolution)
    except ValueError as error:
        raise UserError(plain(error), where=where, fix="correct the route or the resolution") from error
    checkpoint = Checkpoint("folder", folder or Path(asked.weights), asked.weights)
    return Entry(name, asked.without_paths(), family, architecture, checkpoint, None, resolution=asked.resolution)
