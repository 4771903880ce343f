"""Whether a model supports a suite's settings; every refusal says why."""

import math
from collections.abc import Sequence

from sgbench.base.errors import UserError
from sgbench.cells.program import skipped_blocks
from sgbench.files.headers import different_shapes
from sgbench.guidance import Rule
from sgbench.guidance.perturbation import Layers, RandomPerturbation
from sgbench.guidance.rules.cfg_zero import ZERO_STEPS
from sgbench.guidance.schedules import ALWAYS, GammaSchedule, gamma_at, spell
from sgbench.guidance.settings import Guidance
from sgbench.guidance.subset_rules import group_shape, kept_tokens
from sgbench.metrics.references.catalogue import side_of
from sgbench.models.catalogue import ModelInfo
from sgbench.models.components import NONE, OWN
from sgbench.samplers.catalogue import SAMPLERS, moments
from sgbench.samplers.settings import Sampler
from sgbench.suite.prompt_checks import check_captions
from sgbench.suite.schema import Suite
from sgbench.zoo.shapes.captions import SIDE


def check_model(model: ModelInfo, suite: Suite, samplers: Sequence[str], where: str, sampler_key: str) -> None:
    """Whether a model supports the suite's prompts, samplers and metrics."""
    family = model.family
    if family.text and not suite.prompts:
        raise UserError(
            f"{model.name} is a text-to-image model, and the suite has no prompts",
            where=f"{suite.where}: prompts",
            fix="name a prompt set: a file, or one of `sgbench prompts list`",
        )
    if suite.prompts and not family.text:
        raise UserError(
            f"{model.name} is class-conditional, and the suite has prompts",
            where=where,
            fix="choose a text-to-image model, or remove `prompts`",
        )
    if family.text:
        check_captions(model, suite)
    if suite.text_encoder and not family.text_encoder:
        raise UserError(
            f"{model.name} does not use a text encoder", where=f"{suite.where}: text_encoder", fix="remove it"
        )
    if suite.autoencoder == OWN and not family.pipeline:
        raise UserError(
            f"{model.name} has no autoencoder of its own",
            where=f"{suite.where}: autoencoder",
            fix="name a folder or a hub id, or remove the key",
        )
    # A user's sampler is for every model of its clock.
    clock = SAMPLERS[family.samplers[0]].clock
    own = (name for name, kind in SAMPLERS.items() if not SAMPLERS.built_in(name) and kind.clock == clock)
    supported = [*family.samplers, *own]
    for name in samplers:
        if name not in supported:
            raise UserError(
                f"the sampler {name} does not support {model.name}, which predicts {family.prediction}",
                where=sampler_key,
                fix=f"choose one of: {', '.join(supported)}",
            )
        if SAMPLERS[name].needs_variance and not model.architecture.predicts_variance:
            raise UserError(
                f"{name} needs a predicted variance, which {model.name} does not have",
                where=sampler_key,
                fix=f"choose one of: {', '.join(n for n in supported if not SAMPLERS[n].needs_variance)}",
            )
    if not suite.metrics:
        return
    if model.random:
        raise UserError(
            f"{model.name} has random weights, so quality metrics would be meaningless",
            where=f"{suite.where}: metrics",
            fix="write `metrics: []`, or name trained weights",
        )
    _check_parts(model, suite, where)
    side = side_of(suite.reference) if suite.reference else None
    if side is not None and model.image_side != side:
        raise UserError(
            f"images of {model.name} are {model.image_side} pixels wide, not {side} as in {suite.reference}",
            where=f"{suite.where}: reference",
            fix="choose a reference of the model's own data, or write `metrics: []`",
        )


def _check_parts(model: ModelInfo, suite: Suite, where: str) -> None:
    """Whether there will be images to score, and of the kind that the metrics judge."""
    for key in ("autoencoder", "text_encoder"):
        if getattr(suite, key) == NONE and not model.in_pixels:
            raise UserError(
                f"without {key.replace('_', ' ')} there is nothing to score",
                where=f"{suite.where}: {key}",
                fix="name one, or write `metrics: []`",
            )
    if "composition" in suite.metrics and model.image_side != SIDE:
        raise UserError(
            f"composition judges shapes in images of {SIDE} pixels, and those of {model.name} have {model.image_side}",
            where=where,
            fix="choose the model shapes, or the metric geneval",
        )


def check_served(rule: Rule, model: ModelInfo, guidance: Guidance, sampler: Sampler, where: str) -> None:
    """Whether a model and a sampler support a rule and its settings."""
    if rule.needs_auxiliary:
        _check_auxiliary(rule, model, where)
    if rule.needs_null and not model.family.null_class and (guidance.scale != 1 or rule.replaces_update):
        raise UserError(
            f"{rule.title} needs an unconditional prediction, and {model.name} has no null class",
            where=where,
            fix="choose a rule without one, such as icg, ag or sg",
        )
    if rule.drops_path and not model.architecture.drops_path:
        raise UserError(
            f"{rule.title} drops the middle path, which {model.name} does not have",
            where=where,
            fix="choose another rule, or a model of the sprint family",
        )
    if (guidance.gamma_strong or guidance.gamma_weak) and not model.architecture.can_drop_tokens:
        raise UserError(
            f"{model.name} cannot drop tokens", where=where, fix="set the gammas to 0, or give the model a route"
        )
    if rule.needs_inner and not model.architecture.has_inner_head:
        raise UserError(
            f"{rule.title} needs the prediction of an inner head, which {model.name} does not have",
            where=where,
            fix="choose another rule, or a model with an inner head",
        )
    if rule.space == "velocity" and not model.family.prediction.startswith("velocity"):
        raise UserError(
            f"{rule.title} needs a velocity, and {model.name} predicts {model.family.prediction}",
            where=where,
            fix="choose another rule, or a flow-matching model",
        )
    if rule.samplers and sampler.name not in rule.samplers:
        raise UserError(
            f"{rule.title} works with the sampler {' or '.join(rule.samplers)}, not with {sampler.name}",
            where=where,
            fix=f"use the sampler {' or '.join(rule.samplers)}, or another rule",
        )
    zero_steps = guidance.parameter(ZERO_STEPS, 0.0)
    if zero_steps >= sampler.steps:
        raise UserError(
            f"{zero_steps:g} zero steps of {sampler.steps} leave nothing to sample",
            where=f"{where}.{ZERO_STEPS}",
            fix="lower zero_steps, or raise steps",
        )
    if rule.sparser_weak:
        _check_fewer_tokens(rule, model, guidance, sampler, where)
    _check_interval(guidance, sampler, where)
    if guidance.subset == "groups":
        _check_groups(model, guidance, where)
    if any(branch.perturbation is not None for branch in rule.branches):
        _check_layers(rule, model, guidance, where)


def _check_auxiliary(rule: Rule, model: ModelInfo, where: str) -> None:
    if model.auxiliary is None:
        raise UserError(
            f"{rule.title} needs an auxiliary checkpoint, which {model.name} does not have",
            where=where,
            fix="choose another rule or another model, or give the written-out model `auxiliary: FILE`",
        )
    main, auxiliary = model.main.path, model.auxiliary.path
    # A suite may be planned without weights; with only one of two checkpoints something is wrong.
    if main is None or auxiliary is None or not main.is_file():
        return
    if not auxiliary.is_file():
        raise UserError(
            f"the auxiliary checkpoint of {rule.title} is missing: {auxiliary}",
            where=f"{where}.model.auxiliary",
            fix="put the file there, or correct the path",
        )
    if difference := different_shapes(main, auxiliary):
        raise UserError(
            f"the auxiliary checkpoint {auxiliary} differs in shape from {main}: {difference}",
            where=f"{where}.model.auxiliary",
            fix="give a checkpoint of the same architecture",
        )


def _check_fewer_tokens(rule: Rule, model: ModelInfo, guidance: Guidance, sampler: Sampler, where: str) -> None:
    """Two gammas may differ and still keep equally many tokens of a small grid."""
    grid = model.architecture.grid_tokens
    moves = isinstance(guidance.gamma_strong, GammaSchedule) or isinstance(guidance.gamma_weak, GammaSchedule)
    for moment in moments(sampler)[: None if moves else 1]:
        gammas = [gamma_at(gamma, moment.progress) for gamma in (guidance.gamma_strong, guidance.gamma_weak)]
        strong, weak = (kept_tokens(grid, gamma) for gamma in gammas)
        if weak >= strong:
            raise UserError(
                f"at gamma {gammas[0]:g} and {gammas[1]:g} both branches of {rule.title} keep {weak} of {grid} tokens",
                where=where,
                fix="set the gammas further apart",
            )


def _check_interval(guidance: Guidance, sampler: Sampler, where: str) -> None:
    found = {"interval": guidance.interval, "perturb_interval": guidance.parameter("perturb_interval", ALWAYS)}
    for key, interval in found.items():
        if interval.clock == "noise" and interval.end > 1 and SAMPLERS[sampler.name].clock != "edm":
            raise UserError(
                f"{interval} goes beyond 1, and the noise level of {sampler.name} is between 0 and 1",
                where=f"{where}.{key}",
                fix="give levels up to 1",
            )


def _check_groups(model: ModelInfo, guidance: Guidance, where: str) -> None:
    grid = model.architecture.grid_tokens
    side = math.isqrt(grid)
    if side**2 != grid:
        raise UserError(
            f"the {grid} tokens of {model.name} are no square grid of which groups could be made",
            where=f"{where}.subset",
            fix="choose another subset rule",
        )
    for gamma in (guidance.gamma_strong, guidance.gamma_weak):
        shape = None if isinstance(gamma, GammaSchedule) else group_shape(gamma)
        if shape is None or side % shape[0] or side % shape[1]:
            raise UserError(
                f"gamma {spell(gamma)} does not divide a grid of {side} x {side} into groups of 2 x 2 or 2 x 4 tokens",
                where=f"{where}.subset",
                fix="give gammas in quarters or eighths, such as 0.75, or another subset rule",
            )


def _check_layers(rule: Rule, model: ModelInfo, guidance: Guidance, where: str) -> None:
    kinds = [branch.perturbation for branch in rule.branches if branch.perturbation is not None]
    if not all(kind.skips_blocks for kind in kinds) and not model.architecture.attention_perturbs:
        raise UserError(
            f"the attention of {model.family.title} cannot be perturbed",
            where=where,
            fix="choose a rule that skips blocks, or one without a perturbed branch",
        )
    chosen, blocks = guidance.parameter("layers", Layers()), model.architecture.blocks
    if not blocks:
        raise UserError(
            f"{rule.title} perturbs blocks, and the card of {model.own} names none",
            where=where,
            fix="choose another rule, or let the model take `change=None` and give its card `blocks`",
        )
    random = any(issubclass(kind, RandomPerturbation) for kind in kinds)
    if random and not model.architecture.attention_width(chosen[0]):
        raise UserError(
            f"{rule.title} perturbs attention at random, and the card of {model.own} does not say how wide it is",
            where=where,
            fix="choose another rule, or give the card `width`, that of a block's queries, all heads together",
        )
    if chosen[-1] >= blocks:
        raise UserError(
            f"{model.name} has no block {chosen[-1]}, only 0 to {blocks - 1}",
            where=f"{where}.layers",
            fix="name blocks in that range",
        )
    if not any(kind.draws_blocks for kind in kinds):
        return
    count = skipped_blocks(blocks, guidance.parameter("drop", 0.0))
    if count > len(chosen):
        raise UserError(
            f"{count} of {blocks} blocks are to be skipped, and only {len(chosen)} are listed",
            where=f"{where}.layers",
            fix="name more blocks, or lower drop",
        )
    costs = model.architecture.block_macs(model.architecture.grid_tokens)
    if len({costs[layer] for layer in chosen}) > 1:
        raise UserError(
            f"the blocks {chosen} of {model.name} differ in cost, so the cost per step would be random",
            where=f"{where}.layers",
            fix="name blocks of one kind",
        )
