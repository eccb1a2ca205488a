"""HardCoRe-NAS: a stochastic Frank-Wolfe search that keeps its budgets in expectation at every step.

Niv Nayman, Yonathan Aflalo, Asaf Noy, Lihi Zelnik-Manor: "HardCoRe-NAS: Hard Constrained diffeRentiable Neural
Architecture Search", ICML 2021, https://arxiv.org/abs/2102.11646.

The point zeta = (alpha, beta) holds *probabilities*, not logits: beta those of the choices that conditions of others
depend on (depths), alpha those of all others (what a block is). The search minimises E[loss] over them, the weights
fixed, subject to the simplices and to E[cost] <= limit for every budget. Both expectations are linear in alpha for a
fixed beta, and in beta for a fixed alpha. So in every step

    1. a coin picks one of the two blocks;
    2. every validation image runs a path of its own, and gives a share of the gradient g of E[loss] in that block;
    3. m <- 0.9 m + g, the block's momentum;
    4. v = argmin <m, v> over the simplices and one row a budget, a linear program;
    5. zeta <- zeta + 0.002 (v - zeta) in that block, which keeps every budget, since the old point and v do.

It starts at a feasible point near to uniform: the nearest one in alpha while beta is uniform; or, if there is none,
with alpha at a cheap architecture the nearest beta, and with that the nearest alpha.

What differs:
- The paper's gradient goes through a Gumbel softmax, which is biased. Here it is the score function's: since E[loss] is
  multilinear, its derivative by the probability p(o) of an option is that of E[1(o drawn) loss / p(o)], unbiased for
  any loss and network, one forward pass and no backward. The mean loss of the *other* images is subtracted as a
  baseline: that shifts the derivatives of one choice's options by one number, which the linear program cannot see.
  Half a choice a path is drawn uniformly instead, weighted back, so that options of probability 0 are seen as well.
- The published search ends in a projection by two linear programs and an argmax, which breaks budgets. Here the exact
  solver takes the architecture whose options are the most probable, relative to their choice's largest, among those
  that keep every budget. `argmax=True` reproduces the published end, for comparison.
- Any space, and any number of budgets, as long as no two choices of one block multiply in a cost. A budget on a maximum
  (peak memory) has no expectation; the derivation alone keeps it.
- The paper trains the supernet before, on paths drawn per image (`train_weights` and `num_warmup_epochs` do that here),
  with distillation from the largest network, which is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hwnas.arguments import finite_number, truth, whole_number
from hwnas.cost import Budget
from hwnas.errors import ConfigError
from hwnas.nn import ModelSpace, Paths
from hwnas.space import INACTIVE, Architecture, Distribution, Option, Space
from hwnas.strategy.budgeted_points import BudgetedPoints, Point
from hwnas.strategy.derivation import derive_from_scores, relative_to_largest
from hwnas.strategy.filters import RangeProfilerFilter, check_filter, limits_of
from hwnas.strategy.given import given_budgets, given_model_space
from hwnas.strategy.logits import load_tensors
from hwnas.strategy.mixable import require_mixable
from hwnas.strategy.one_shot import Moment
from hwnas.strategy.penalties import Penalty, SampleProfilerPenalty
from hwnas.strategy.protocol import Derived
from hwnas.strategy.put_back import put_back
from hwnas.train import Recipe

__all__ = ["HardCoReNAS"]

_EXPLORED_PER_PATH = 0.5


class HardCoReNAS:
    """Block-coordinate stochastic Frank-Wolfe over the probabilities of options, then the exact solver."""

    name: ClassVar[str] = "hardcorenas"
    recipe: ClassVar[Recipe] = Recipe(
        epochs=100, batch_size=256, learning_rate=0.0128, weight_decay=1e-5, label_smoothing=0.1, gradient_clip=None
    )

    def __init__(
        self,
        space: ModelSpace,
        budgets: Sequence[Budget] = (),
        *,
        step_size: float = 0.002,
        momentum: float = 0.9,
        train_weights: bool = False,
        num_warmup_epochs: float = 0.0,
        argmax: bool = False,
        penalty: Penalty | None = None,
        filter: RangeProfilerFilter | None = None,
        seed: int = 0,
    ) -> None:
        """See the module; the defaults are the paper's.

        Args:
            space: the supernet; trained beforehand, unless `train_weights`.
            budgets: hard limits; kept in expectation by every point of the search.
            step_size: the share of the way to the vertex that a step goes, over 0 and at most 1.
            momentum: of the gradient, at least 0 and below 1.
            train_weights: whether weights go on training in the search, every image on a path drawn uniformly from each
                choice. The paper's stay as they are.
            num_warmup_epochs: before the search, in which only weights train, on such paths.
            argmax: derive as published, and so break budgets.
            penalty: on the expectation or on each image's own path.
            filter: a range of a profiler with a table, which is two more budgets.
            seed: without effect: all that is drawn comes from the moments' generators.

        Raises:
            ConfigError: an option out of range; a filter that cannot be made into budgets.
            InfeasibleError: no architecture keeps the budgets and the filter.
            StrategyError: options that cannot be added up, or a cost in which choices of one block multiply.
        """
        space, budgets = given_model_space(space), given_budgets(budgets)
        require_mixable(space, self.name)
        if penalty is not None:
            penalty.check(space.space, self.name)
        _check_filter(filter, space.space)
        self._supernet = space
        self._space = space.space
        self._step_size = finite_number("step_size", step_size, above=0, at_most=1)
        self._momentum = finite_number("momentum", momentum, at_least=0, below=1)
        self.trains_weights = truth("train_weights", train_weights)
        self._num_warmup_epochs = finite_number("num_warmup_epochs", num_warmup_epochs, at_least=0)
        self._argmax = truth("argmax", argmax)
        whole_number("seed", seed, at_least=0)
        self._penalty = penalty
        self._limits = limits_of(filter)
        self._uniform = Distribution.uniform(self._space)
        self._feasible = BudgetedPoints(self._space, (*budgets, *self._limits))
        self._point = self._feasible.near(self._uniform)
        self._gradient: Point = {name: np.zeros_like(values) for name, values in self._point.items()}

    def step(self, moment: Moment) -> Tensor:
        """One step of Frank-Wolfe after the warm-up; a step of the weights in it, or where they are to train.

        Returns:
            The training loss; where weights do not train, the mean loss of the sampled paths.
        """
        warming_up = moment.epoch < self._num_warmup_epochs
        reported = None if warming_up else self._search(moment)
        if reported is None or self.trains_weights:
            codes = self._uniform.sample_codes(moment.training_batch_size, moment.rng)
            loss = moment.training_loss(_paths(self._space, codes, moment.device))
            moment.backward(loss)
            reported = loss.detach()
        return reported

    def distribution(self) -> Distribution:
        """The point of the search."""
        return Distribution(self._space, self._point)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The most probable architecture within the budgets; with `argmax`, the published one, which may break them.

        Raises:
            InfeasibleError: no architecture keeps the budgets and the filter.
        """
        limits = (*budgets, *self._limits)
        if self._argmax:
            return self._published(limits)
        return derive_from_scores(self._space, relative_to_largest(self._point), limits)

    def state(self) -> Mapping[str, Tensor]:
        """The point and the momentum."""
        return {name: tensor.clone() for name, tensor in self._tensors().items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave.

        Raises:
            CheckpointError: tensors that are missing or of another shape.
        """
        load_tensors(self._tensors(), state)

    def _tensors(self) -> dict[str, Tensor]:
        """The state, sharing its memory."""
        parts = {"probabilities": self._point, "momentum": self._gradient}
        return {f"{part}.{name}": torch.from_numpy(v) for part, values in parts.items() for name, v in values.items()}

    def _search(self, moment: Moment) -> Tensor:
        """Steps 1 to 5 of the module; the mean loss of the sampled paths."""
        block = self._feasible.blocks[moment.rng.integers(len(self._feasible.blocks))]
        gradient, loss = self._estimate(moment, block)
        if not all(np.isfinite(values).all() for values in gradient.values()):
            return loss.new_tensor(torch.nan)  # the driver says that training diverged
        for name in block:
            self._gradient[name][...] = self._momentum * self._gradient[name] + gradient[name]
        vertex = self._feasible.least(self._gradient, block, self._point)
        if vertex is not None:  # None: budgets so tight that rounding leaves no room to move
            for name, target in vertex.items():
                self._point[name] += self._step_size * (target - self._point[name])
        return loss

    def _estimate(self, moment: Moment, block: Sequence[str]) -> tuple[Point, Tensor]:
        """The gradient of the expected loss in one block, but for a number a choice; and the mean loss itself."""
        share = min(1.0, _EXPLORED_PER_PATH / len(self._point))
        proposal = Distribution(
            self._space, {name: (1.0 - share) * p + share / len(p) for name, p in self._point.items()}
        )
        codes = proposal.sample_codes(moment.batch_size, moment.rng)
        ratios = {name: np.append(p / proposal[name], 1.0) for name, p in self._point.items()}  # inactive: 1
        ratios_BC = np.stack([ratios[name][codes[:, i]] for i, name in enumerate(self._space.names)], axis=1)
        with put_back(self._supernet.buffers()), torch.no_grad():  # statistics are of training images alone
            losses = moment.validation_losses(_paths(self._space, codes, moment.device)).double().cpu()

        probabilities = {name: torch.from_numpy(p).clone().requires_grad_() for name, p in self._point.items()}
        values = self._penalised(losses, codes, probabilities)
        values_B = values.detach().numpy()
        weighted_B = ratios_BC.prod(1) * values_B
        # For each image the mean of the others', so that it stays independent of the image's own path.
        others_B = (weighted_B.sum() - weighted_B) / max(len(codes) - 1, 1)
        gradient = {}
        for name in block:
            position = self._space.position(name)
            weights_B = np.delete(ratios_BC, position, axis=1).prod(1) * (values_B - others_B)
            drawn_BO = codes[:, position, None] == np.arange(len(self._point[name]))
            gradient[name] = (weights_B[:, None] * drawn_BO).mean(0) / proposal[name]
        if values.requires_grad:  # the penalty's own dependence on the probabilities
            mean = (torch.from_numpy(ratios_BC.prod(1)) * values).mean()
            slopes = torch.autograd.grad(mean, [probabilities[name] for name in block], allow_unused=True)
            gradient = {n: gradient[n] + (0.0 if s is None else s.numpy()) for n, s in zip(block, slopes, strict=True)}
        averaged = {name: moment.mean(torch.from_numpy(gradient[name])).numpy() for name in block}
        return averaged, losses.mean()

    def _penalised(self, losses: Tensor, codes: NDArray[np.int32], probabilities: Mapping[str, Tensor]) -> Tensor:
        if self._penalty is None:
            return losses
        if not isinstance(self._penalty, SampleProfilerPenalty):
            return self._penalty(losses, probabilities=probabilities, architecture=None)
        values = torch.empty_like(losses)
        different, which = np.unique(codes, axis=0, return_inverse=True)
        for number, architecture in enumerate(self._space.decode(different)):
            own = torch.from_numpy(which.ravel() == number)
            values[own] = self._penalty(losses[own], probabilities=probabilities, architecture=architecture)
        return values

    def _published(self, budgets: Sequence[Budget]) -> Derived:
        """The vertex most like the point, block by block: at most one fractional choice a budget; then argmax."""
        feasible = BudgetedPoints(self._space, budgets)
        point = feasible.near(self._point)
        for block in feasible.blocks:
            point |= feasible.least({name: -point[name] for name in block}, block, point) or {}
        largest = {choice.name: choice.options[int(np.argmax(point[choice.name]))] for choice in self._space.choices}
        architecture = _active_part(self._space, largest)
        broken = [
            f"{budget} (it is {budget.cost.value(architecture):g})"
            for budget in budgets
            if not budget.holds(architecture)
        ]
        note = f"argmax, as published, breaks {' and '.join(broken)}" if broken else "argmax, as published"
        return Derived(architecture=architecture, note=note)


def _check_filter(filter: RangeProfilerFilter | None, space: Space) -> None:
    check_filter(filter, space, "HardCoReNAS")
    if filter is None:
        return
    if (
        not isinstance(filter, RangeProfilerFilter)
        or len(filter.limits()) < np.isfinite([filter.min, filter.max]).sum()
    ):
        raise ConfigError(
            "HardCoReNAS keeps a filter as budgets on expected costs, so that it takes a RangeProfilerFilter of a "
            f"profiler with a CostTable; got {filter!r}. A function can filter the samples of the strategy 'enas'."
        )


def _paths(space: Space, codes: NDArray[np.int32], device: torch.device) -> dict[str, Paths]:
    """A path of its own for every image: one-hot rows, and zeros where a choice is inactive."""
    selection = {}
    for choice, codes_B in zip(space.choices, codes.T, strict=True):
        one_hot_BO = codes_B[:, None] == np.arange(choice.num_options)
        selection[choice.name] = Paths(torch.from_numpy(one_hot_BO).to(device=device, dtype=torch.float32))
    return selection


def _active_part(space: Space, options: Mapping[str, Option]) -> Architecture:
    """The architecture with these options, of which those of inactive choices are left out."""
    codes: list[int] = []
    for position, choice in enumerate(space.choices):
        codes.append(choice.index(options[choice.name]) if space.is_active(position, codes) else INACTIVE)
    return space.decode([codes])[0]
