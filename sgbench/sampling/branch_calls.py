"""The denoiser calls of a cell's evaluations, for some images: conditions and tokens are made in advance."""

import contextlib
from collections.abc import Sequence
from typing import NamedTuple, assert_never

import torch
from torch import Tensor

from sgbench.cells import randomness
from sgbench.cells.cell import Cell, DType
from sgbench.cells.program import STRONG, Call, Evaluation
from sgbench.guidance.perturbation import Draws, Perturbation
from sgbench.models import catalogue
from sgbench.networks.prediction import predict
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.samplers.clocks import moved
from sgbench.sampling.networks import Networks
from sgbench.sampling.subsets import draw_subsets


class Seen(NamedTuple):
    """A prediction (B, C, H, W), and the state and the level that it was made from."""

    prediction: Tensor
    x: Tensor
    level: float


class BranchCalls:
    """Makes the calls of the evaluations of a run.

    Labels, token subsets and random classes do not depend on x: they are made and sent to the device in advance.
    """

    def __init__(
        self,
        cell: Cell,
        networks: Networks,
        evaluations: Sequence[Evaluation],
        labels: Tensor,
        indices: Sequence[int],
        device: torch.device,
    ) -> None:
        self.cell, self.networks, self.evaluations, self.device = cell, networks, evaluations, device
        self.indices = indices
        self.family = catalogue.entry(cell.model).family
        self.sampler = SAMPLERS[cell.sampler.name]
        self.null = networks.conditions.null
        self.given = networks.conditions.of(to_device(labels, device))
        self.random = None
        if any(call.branch.condition == "random" for evaluation in evaluations for call in evaluation.calls):
            drawn = randomness.random_classes(cell.seed, indices, len(evaluations), cell.num_conditions)
            self.random = to_device(torch.from_numpy(drawn), device)
        grid = networks.main.architecture.grid_tokens
        self.tokens = [
            [None if subset is None else to_device(torch.from_numpy(subset), device) for subset in subsets]
            for subsets in draw_subsets(cell, evaluations, indices, grid)
        ]

    def __call__(self, number: int, x: Tensor, level: float, rows: Tensor | None = None) -> dict[str, Seen]:
        """Every branch's prediction at (x, level); calls of equal shape to one network share a batch.

        Branches other than the strong one are called for the images `rows` alone where it is given.
        """
        calls = self.evaluations[number].calls
        if rows is not None and len(rows) == 0:
            calls = tuple(call._replace(inner="") for call in calls if call.slot == STRONG)
        found: dict[str, Seen] = {}
        for members in _batches(calls):
            found |= self._together(number, members, [calls[member] for member in members], x, level, rows)
        return found

    def _together(
        self, number: int, members: Sequence[int], calls: Sequence[Call], x: Tensor, level: float, rows: Tensor | None
    ) -> dict[str, Seen]:
        wanted = [None if call.slot == STRONG else rows for call in calls]
        states = [x if of is None else x[of] for of in wanted]
        tokens = [_of(self.tokens[number][member], of) for member, of in zip(members, wanted, strict=True)]
        conditions = [self._condition(call, number, of) for call, of in zip(calls, wanted, strict=True)]
        if len(calls) > 1:
            conditions = [c.expand(len(s), *c.shape[1:]) for c, s in zip(conditions, states, strict=True)]
        subsets = [subset for subset in tokens if subset is not None]
        at, inner = moved(self.sampler.clock, level, calls[0].offset), bool(calls[0].inner)
        with _autocast(self.cell.dtype, self.device):
            joint = predict(
                self.networks.of(calls[0].branch),
                self.family.prediction,
                self.family.sigma_data,
                states[0] if len(calls) == 1 else torch.cat(states),
                at,
                torch.cat(conditions),
                torch.cat(subsets) if subsets else None,
                self._drawn(calls[0], number, wanted[0]),
                self.sampler.needs_variance,
                inner,
            )
        if self.cell.compile == "cuda-graphs":
            # A graph writes its next result where this one is.
            joint = joint.clone()
        parts = [output.split([len(state) for state in states]) for output in (joint if inner else [joint])]
        found: dict[str, Seen] = {}
        for place, (call, state) in enumerate(zip(calls, states, strict=True)):
            if call.slot:
                found[call.slot] = Seen(parts[0][place], state, at)
            if call.inner:
                # The strong call is made for all images; its inner head guides `rows` alone.
                guided = rows if call.slot == STRONG and rows is not None else slice(None)
                found[call.inner] = Seen(parts[1][place][guided], state[guided], at)
        return found

    def _drawn(self, call: Call, number: int, rows: Tensor | None) -> Perturbation | None:
        """The perturbation of a call, drawn for its images."""
        if call.perturbation is None:
            return None
        images = self.indices if rows is None else [self.indices[row] for row in rows.tolist()]
        stream = randomness.named_stream(f"perturbation {call.slot}")
        architecture = self.networks.main.architecture
        return call.perturbation.drawn(
            Draws(
                (randomness.generator(self.cell.seed, stream, index, number) for index in images),
                architecture.grid_tokens,
                architecture.attention_width,
                lambda drawn: to_device(torch.from_numpy(drawn), self.device),
            )
        )

    def _condition(self, call: Call, number: int, rows: Tensor | None) -> Tensor:
        match call.branch.condition:
            case "given":
                return self.given if rows is None else self.given[rows]
            case "null":
                return self.null
            case "random":
                assert self.random is not None
                drawn = self.random[number]
                return self.networks.conditions.of(drawn if rows is None else drawn[rows])
            case _:
                assert_never(call.branch.condition)


def _of(values: Tensor | None, rows: Tensor | None) -> Tensor | None:
    return values if values is None or rows is None else values[rows]


def _batches(calls: Sequence[Call]) -> list[list[int]]:
    """Positions of the calls that can share a batch: of one network, time and outputs, equal in tokens, unperturbed."""
    together: dict[tuple[object, ...], list[int]] = {}
    for position, call in enumerate(calls):
        alone = position if call.perturbation is not None else None
        key = (call.branch.checkpoint, call.kept, call.offset, bool(call.inner), alone)
        together.setdefault(key, []).append(position)
    return list(together.values())


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on its device; copies to CUDA are asynchronous, from pinned memory."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _autocast(dtype: DType, device: torch.device) -> contextlib.AbstractContextManager[object]:
    match dtype:
        case "bfloat16":
            return torch.autocast(device.type, torch.bfloat16)
        case "float32":
            return contextlib.nullcontext()
        case _:
            assert_never(dtype)
