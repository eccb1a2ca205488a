"""ProxylessNAS: one path learns the weights, two paths the architecture.

Cai, Zhu, Han: ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware. ICLR 2019,
https://arxiv.org/abs/1812.00332. Equation 2 is the binary gate of a path, equation 4 the gradient to the logits through
the gates, section 3.2.1 the two sampled paths, section 3.3.1 the expected latency, section 3.3.2 REINFORCE.

What differs from the paper: any choice of a space is searched, depths, inputs and choices under conditions included.
The two paths are renormalised and in the end shifted together, as in section 3.2.1, so that a step moves probability
only from one to the other. The published program takes the expected cost over these two as well; here it is that of
*all* options, and its gradient the derivative of that expectation along the way that the step can take. The factor of
`mul#log` and the difference of `add#linear` are those of the published program; their logarithms are of milliseconds or
of millions, never of the profiler's unit. REINFORCE minimises the same objective as the gradient (its reward is minus
the loss, not the accuracy), with the exact gradient of the cost. Hard budgets: the derivation is solved under them, and
is the paper's argmax where there are none. Weights learn in every step and, after the warm-up, the architecture too,
which leaves nothing behind in the supernet: the running statistics of batch norm are of training images alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from hwnas.arguments import finite_number, whole_number
from hwnas.cost import Budget
from hwnas.errors import ConfigError
from hwnas.nn import ModelSpace, Paths
from hwnas.profiler import Profiler
from hwnas.space import Architecture, Distribution
from hwnas.strategy.derivation import derive_from_scores, relative_to_largest
from hwnas.strategy.feasible import require_feasible
from hwnas.strategy.filters import Accepts, accepted, check_filter, limits_of
from hwnas.strategy.given import given_budgets, given_model_space
from hwnas.strategy.grad_reg_loss import LossType, cost_in_loss
from hwnas.strategy.logits import Logits, load_optimizer_state, load_tensors, optimizer_state, paths
from hwnas.strategy.mixable import require_mixable
from hwnas.strategy.one_shot import Moment
from hwnas.strategy.penalties import Penalty, SampleProfilerPenalty
from hwnas.strategy.protocol import Derived
from hwnas.strategy.put_back import put_back
from hwnas.train import Recipe

__all__ = ["ProxylessNAS"]

Method = Literal["gradient", "reinforce"]

_BASELINE_DECAY = 0.99
"""Of REINFORCE's moving baseline, as in the published program."""


class ProxylessNAS:
    """Every step trains the weights of one sampled path, and compares two paths of every choice.

    With E the expected cost, T its reference and L the validation loss, the architecture learns from

        mul#log      L * alpha * (log E / log T) ** beta
        add#linear   L + lambda * (E - T) / T

    Args:
        space: the model space that is being trained.
        budgets: hard limits that there must be an architecture for; `derive` is told them again.
        method: "gradient" through the gates of two paths, or "reinforce".
        profiler: of the cost in the loss; for `grad_reg_loss_type`. (`applied_hardware` of the old toolkit: give
            `LatencyProfiler(space, table)` with that device's table.)
        reference_latency: T, in the profiler's standard unit: ms (also of a profiler in seconds), macs, params, bytes.
        grad_reg_loss_type: "mul#log", "add#linear" or None for no cost in the loss.
        grad_reg_loss_params: "alpha", "beta" and "lambda" where they differ from 0.2, 0.3 and 0.1.
        dummy_input: the shape of the input that costs are taken at. It must be that of the space's example input.
        num_warmup_epochs: epochs in which only weights learn, of paths with uniform probabilities.
        architecture_learning_rate: of Adam, with betas (0, 0.999) and no decay.
        num_samples: architectures in a step of REINFORCE.
        penalty: on the validation loss, after `grad_reg_loss_type`; one of samples only with REINFORCE.
        filter: what every architecture that is sampled or derived must be accepted by.
        seed: of the logits at the start.

    Attributes:
        logits: alpha.

    Raises:
        StrategyError: options that cannot be added up, with method "gradient".
        ConfigError: an option out of range, a reference that the space cannot have, or a profiler, penalty or filter
            of another space.
        InfeasibleError: no architecture keeps the budgets and the filter's range.
    """

    name: ClassVar[str] = "proxylessnas"
    recipe: ClassVar[Recipe] = Recipe(
        epochs=160, batch_size=256, learning_rate=0.025, weight_decay=4e-5, label_smoothing=0.1, gradient_clip=None
    )
    trains_weights: bool = True

    def __init__(
        self,
        space: ModelSpace,
        budgets: Sequence[Budget] = (),
        *,
        method: Method = "gradient",
        profiler: Profiler | None = None,
        reference_latency: float | None = None,
        grad_reg_loss_type: LossType | None = None,
        grad_reg_loss_params: Mapping[str, float] | None = None,
        dummy_input: Sequence[int] | None = None,
        num_warmup_epochs: float = 40.0,
        architecture_learning_rate: float = 1e-3,
        num_samples: int = 8,
        penalty: Penalty | None = None,
        filter: Accepts | None = None,
        seed: int = 0,
    ) -> None:
        space, budgets = given_model_space(space), given_budgets(budgets)
        if method not in get_args(Method):
            raise ConfigError(f"`method` must be one of {', '.join(get_args(Method))}; got {method!r}.")
        num_warmup_epochs = finite_number("num_warmup_epochs", num_warmup_epochs, at_least=0)
        architecture_learning_rate = finite_number("architecture_learning_rate", architecture_learning_rate, above=0)
        num_samples = whole_number("num_samples", num_samples, at_least=1)
        seed = whole_number("seed", seed, at_least=0)
        if method == "gradient":
            require_mixable(space, self.name)
            if isinstance(penalty, SampleProfilerPenalty):
                raise ConfigError(
                    "A SampleProfilerPenalty has no gradient to the gates of method 'gradient'; got one. Use "
                    "ExpectationProfilerPenalty, or method 'reinforce'."
                )
        if dummy_input is not None:
            _check_dummy_input(space, dummy_input)
        if penalty is not None:
            penalty.check(space.space, self.name)
        check_filter(filter, space.space, self.name)
        require_feasible(space.space, [*budgets, *limits_of(filter)])
        self._space = space
        self._method = method
        self._num_warmup_epochs = num_warmup_epochs
        self._num_samples = num_samples
        self._penalty = penalty
        self._filter = filter
        self.logits = Logits(space.space, seed=seed)
        self._cost = cost_in_loss(profiler, reference_latency, grad_reg_loss_type, grad_reg_loss_params, self.logits)
        self._optimizer = torch.optim.Adam(self.logits.parameters, lr=architecture_learning_rate, betas=(0.0, 0.999))
        self._baseline = torch.tensor(math.nan, dtype=torch.float64)  # before the first step there is none

    def step(self, moment: Moment) -> Tensor:
        """See `OneShot.step`.

        Raises:
            ConfigError: a warm-up as long as the search; an expected cost whose logarithm is not over 0.
        """
        if moment.num_epochs <= self._num_warmup_epochs:
            raise ConfigError(
                f"`num_warmup_epochs` must be below the epochs of the search, {moment.num_epochs:g}, for the "
                f"architecture to learn; got {self._num_warmup_epochs:g}."
            )
        distribution = Distribution.uniform(self._space.space)
        if moment.epoch >= self._num_warmup_epochs:
            with put_back(self._space.buffers()):
                if self._method == "gradient":
                    self._compare_two_paths(moment)
                else:
                    self._reinforce(moment)
            distribution = self.distribution()
        loss = moment.training_loss(self._sample(distribution, moment.rng))
        moment.backward(loss)
        return loss.detach()

    def distribution(self) -> Distribution:
        """See `OneShot.distribution`."""
        return self.logits.distribution()

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """See `OneShot.derive`: the most probable option of every choice, as far as the budgets allow."""
        scores = relative_to_largest(self.logits.numpy())
        return derive_from_scores(self._space.space, scores, budgets, filter=self._filter)

    def state(self) -> Mapping[str, Tensor]:
        """See `OneShot.state`."""
        return {**self.logits.state(), **optimizer_state(self._optimizer), "baseline": self._baseline.clone()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See `OneShot.load_state`."""
        self.logits.load_state(state)
        load_optimizer_state(self._optimizer, state)
        load_tensors({"baseline": self._baseline}, state)

    def two_path_loss(self, moment: Moment, pairs: Mapping[str, tuple[int, ...]], open_: Architecture) -> Tensor:
        """What the architecture learns from when two paths of every choice run and one of them is open.

        The value is the loss of the open path. The gradient is that of equation 4 for two options: to the
        logits dL/dalpha_i = sum_j dL/dg_j q_j (delta_ij - q_i), with dL/dg_j = <o_j, dL/do> also for the gate that is
        closed, and q the softmax of the pair's logits; and that of the expected cost as q varies and the probabilities
        of all other options stay.

        Args:
            moment: whose validation loss.
            pairs: by choice, the codes of the two options (one, where the choice has one).
            open_: which of them is open, for the choices that are active.
        """
        gates, probabilities = {}, {}
        for choice in self._space.space.choices:
            codes = torch.tensor(pairs[choice.name])
            logits = self.logits.values[choice.name]
            q = torch.softmax(logits[codes], 0)
            # A choice inside of a closed path has its first option open: Gumbel's maximum, hence drawn from its p.
            code = choice.index(open_[choice.name]) if choice.name in open_ else pairs[choice.name][0]
            binary = (codes == code).to(q) + (q - q.detach())  # the value is exactly 0 or 1
            gates[choice.name] = torch.zeros_like(logits).scatter(0, codes, binary)
            p = torch.softmax(logits.detach(), 0)
            probabilities[choice.name] = p.scatter(0, codes, p[codes].sum() * q)
        selection: dict[str, Paths] = {
            name: dataclasses.replace(path, options=pairs[name]) for name, path in paths(gates, moment.device).items()
        }
        return self._with_cost(moment.validation_loss(selection), probabilities, open_)

    def _compare_two_paths(self, moment: Moment) -> None:
        """One step of Adam, after which the options that were not sampled have the probability they had."""
        pairs = self._draw_pairs(moment.rng)
        two = Distribution(self._space.space, self._renormalised(pairs))
        open_ = self._sample(two, moment.rng)
        for choice in self._space.space.choices:  # a repaired sample may be outside of its pair
            if choice.name in open_ and choice.index(open_[choice.name]) not in pairs[choice.name]:
                pairs[choice.name] = (choice.index(open_[choice.name]), pairs[choice.name][0])
        masses = {name: self.logits.values[name].detach()[list(codes)].logsumexp(0) for name, codes in pairs.items()}
        self._descend(self.two_path_loss(moment, pairs, open_), moment)
        with torch.no_grad():
            for name, codes in pairs.items():
                logits = self.logits.values[name]
                logits[list(codes)] += masses[name] - logits[list(codes)].logsumexp(0)

    def _draw_pairs(self, rng: np.random.Generator) -> dict[str, tuple[int, ...]]:
        """Two options of every choice, by their probabilities and without replacement: the two largest after Gumbel."""
        return {
            name: tuple(np.argsort(-(logits + rng.gumbel(size=len(logits))))[:2].tolist())
            for name, logits in self.logits.numpy().items()
        }

    def _renormalised(self, pairs: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
        """The probabilities as if there were no options but the pairs'."""
        renormalised = {}
        for name, codes in pairs.items():
            logits = self.logits.values[name].detach()
            probabilities = torch.zeros_like(logits)
            probabilities[list(codes)] = torch.softmax(logits[list(codes)], 0)
            renormalised[name] = probabilities
        return renormalised

    def _reinforce(self, moment: Moment) -> None:
        """One step of Adam on the mean over samples of (L - baseline) d log p, and of the cost's own gradient."""
        probabilities = self.logits.probabilities()
        losses, log_probabilities = [], []
        for _ in range(self._num_samples):
            architecture = self._sample(self.distribution(), moment.rng)
            with torch.no_grad():
                loss = moment.validation_loss(architecture)
            losses.append(self._with_cost(loss, probabilities, architecture))
            log_probabilities.append(self._log_probability(architecture))
        values = torch.stack(losses)
        mean = moment.mean(values.detach().mean())
        baseline = mean if self._baseline.isnan() else self._baseline
        advantages = values.detach() - baseline
        self._descend((values + advantages * torch.stack(log_probabilities)).mean(), moment)
        self._baseline = _BASELINE_DECAY * baseline + (1 - _BASELINE_DECAY) * mean

    def _log_probability(self, architecture: Architecture) -> Tensor:
        """The logarithm of the probability of sampling an architecture, with its gradient to the logits."""
        terms = [
            torch.log_softmax(self.logits.values[name], 0)[self._space.space.choice(name).index(option)]
            for name, option in architecture.items()
        ]
        return torch.stack(terms).sum()

    def _sample(self, distribution: Distribution, rng: np.random.Generator) -> Architecture:
        """An architecture that the filter accepts."""
        return accepted(lambda: distribution.sample(rng), self._filter, space=self._space.space)

    def _with_cost(self, loss: Tensor, probabilities: Mapping[str, Tensor], architecture: Architecture) -> Tensor:
        """The loss with the cost and the penalty in it, on the CPU and in double precision like the logits."""
        loss = loss.to(device="cpu", dtype=torch.float64)
        if self._cost is not None:
            loss = self._cost(loss, probabilities)
        if self._penalty is not None:
            loss = self._penalty(loss, probabilities=probabilities, architecture=architecture)
        return loss

    def _descend(self, loss: Tensor, moment: Moment) -> None:
        """One step of Adam; logits that the loss does not depend on stay as they are."""
        gradients = torch.autograd.grad(loss, self.logits.parameters, allow_unused=True)
        for parameter, gradient in zip(self.logits.parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else moment.mean(gradient)
        self._optimizer.step()


def _check_dummy_input(space: ModelSpace, dummy_input: Sequence[int]) -> None:
    shapes = [tuple(leaf.shape) for leaf in pytree.tree_leaves(space.example_inputs) if isinstance(leaf, Tensor)]
    if not isinstance(dummy_input, Sequence) or shapes != [tuple(dummy_input)]:
        raise ConfigError(
            "`dummy_input` must be the shape of the space's example input, where costs are taken: "
            f"{', '.join(map(str, shapes))}; got {dummy_input!r}. Leave it out, or make the space with example inputs "
            "of that shape."
        )
