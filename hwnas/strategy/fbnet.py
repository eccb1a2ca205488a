"""FBNet: a random mixture of all options, from which the gradient reaches their probabilities.

Wu, Dai, Zhang, Wang, Sun, Wu, Tian, Vajda, Jia, Keutzer: FBNet: Hardware-Aware Efficient ConvNet Design via
Differentiable Neural Architecture Search. CVPR 2019, https://arxiv.org/abs/1812.03443. Equation 2 is the loss; section
3.2 the cost by table, which is linear in the mask; section 3.3 the mixture and its mask, a Gumbel softmax.

What differs from the paper: any choice of a space is mixed, depths, inputs and choices under conditions included. The
logarithm of equation 2 depends on the unit of the latency and is undefined below 1 of it; the default is
L * alpha * ln(1 + (e - 1) * E / reference) ** beta, which is equal in every unit and L * alpha at the reference. The
published form is an option. The number of epochs, and when the architecture starts to learn, are those of the old
toolkit's program; the temperature starts to fall when the architecture starts to learn. Derived is the most probable
architecture under hard budgets, not several samples. An architecture step leaves nothing behind in the supernet: the
running statistics of batch norm are of training images alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from hwnas.arguments import finite_number, truth, whole_number
from hwnas.cost import Budget
from hwnas.errors import ConfigError
from hwnas.nn import ModelSpace
from hwnas.profiler import Profiler
from hwnas.space import Distribution
from hwnas.strategy.derivation import derive_from_scores, relative_to_largest
from hwnas.strategy.feasible import require_feasible
from hwnas.strategy.filters import Accepts, check_filter, limits_of
from hwnas.strategy.given import given_budgets, given_model_space
from hwnas.strategy.logits import Logits, load_optimizer_state, optimizer_state, paths
from hwnas.strategy.mixable import require_mixable
from hwnas.strategy.one_shot import Moment
from hwnas.strategy.penalties import Penalty
from hwnas.strategy.protocol import Derived
from hwnas.strategy.put_back import put_back
from hwnas.strategy.reference_cost import ReferenceCost
from hwnas.train import Recipe

__all__ = ["FBNet"]

Mode = Literal["mul", "add"]


class FBNet:
    """Every option runs, with its share of a Gumbel softmax as weight; weights and architecture learn in turns.

    With L the validation loss, E the cost of the mask that the loss was computed with, and R its reference:

        mode       default                                      published_loss (E in ms or millions)
        "mul"      L * alpha * ln(1 + (e - 1) * E / R) ** beta  L * alpha * (ln E) ** beta
        "add"      L + alpha * (E / R) ** beta                  L + alpha * E ** beta

    Who comes from the old `NASConfig` and `LookUpTable` finds `mode`, `alpha`, `beta`, `nas_lr`, `nas_weight_decay`,
    `start_epoch`, `init_temperature` and `exp_anneal_rate` under their names. `perf_metric="flops"` is
    `profiler=FlopsProfiler(space)`; `perf_metric="latency"` with a table from a file is
    `profiler=LatencyProfiler(space, LatencyTable.from_json(...))`, or any object whose `cost` is a
    `CostTable.from_options(...)` of one's own numbers. `search_space` is the model space; `model_dir` is the folder of
    the run.

    Args:
        space: the model space that is being trained.
        budgets: hard limits that there must be an architecture for; `derive` is told them again.
        profiler: of the cost in the loss; None for the loss alone.
        mode: whether the cost multiplies the loss or is added to it.
        alpha: factor of the cost.
        beta: exponent of the cost.
        reference: R, in the profiler's standard unit (ms, macs, params, bytes); None for the expected cost of uniform
            probabilities.
        published_loss: the paper's own formulas.
        nas_lr: learning rate of AdamW on the logits.
        nas_weight_decay: of AdamW.
        start_epoch: epochs in which only weights learn.
        init_temperature: of the Gumbel softmax, until then.
        exp_anneal_rate: factor on the temperature after every later epoch.
        penalty: on the validation loss, after the cost; of the expectation under the same mask.
        filter: what the architecture must be accepted by: a range of a profiler, or a function.
        seed: of the logits at the start.

    Attributes:
        logits: alpha of the algorithm, theta of the paper.

    Raises:
        StrategyError: options that cannot be added up.
        ConfigError: an option out of range, a reference that the space cannot have, or a profiler, penalty or filter
            of another space.
        InfeasibleError: no architecture keeps the budgets and the filter's range.
    """

    name: ClassVar[str] = "fbnet"
    recipe: ClassVar[Recipe] = Recipe(
        epochs=300, batch_size=192, learning_rate=0.1, weight_decay=1e-4, label_smoothing=0.0, gradient_clip=None
    )
    trains_weights: bool = True

    def __init__(
        self,
        space: ModelSpace,
        budgets: Sequence[Budget] = (),
        *,
        profiler: Profiler | None = None,
        mode: Mode = "mul",
        alpha: float = 0.25,
        beta: float = 0.6,
        reference: float | None = None,
        published_loss: bool = False,
        nas_lr: float = 0.01,
        nas_weight_decay: float = 5e-4,
        start_epoch: float = 50.0,
        init_temperature: float = 5.0,
        exp_anneal_rate: float = math.exp(-0.045),
        penalty: Penalty | None = None,
        filter: Accepts | None = None,
        seed: int = 0,
    ) -> None:
        space, budgets = given_model_space(space), given_budgets(budgets)
        if mode not in get_args(Mode):
            raise ConfigError(f"`mode` must be one of {', '.join(get_args(Mode))}; got {mode!r}.")
        nas_lr = finite_number("nas_lr", nas_lr, above=0)
        nas_weight_decay = finite_number("nas_weight_decay", nas_weight_decay, at_least=0)
        published_loss = truth("published_loss", published_loss)
        if profiler is None and (reference is not None or published_loss):
            raise ConfigError("`reference` and `published_loss` are about the cost of `profiler`; give one.")
        if published_loss and reference is not None:
            raise ConfigError(f"The published loss has no `reference`; got {reference!r}. Leave it out.")
        require_mixable(space, self.name)
        if penalty is not None:
            penalty.check(space.space, self.name)
        check_filter(filter, space.space, self.name)
        require_feasible(space.space, [*budgets, *limits_of(filter)])
        self._space = space
        self._mode = mode
        self._alpha = finite_number("alpha", alpha, above=0)
        self._beta = finite_number("beta", beta, above=0)
        self._published_loss = published_loss
        self._start_epoch = finite_number("start_epoch", start_epoch, at_least=0)
        self._init_temperature = finite_number("init_temperature", init_temperature, above=0)
        self._exp_anneal_rate = finite_number("exp_anneal_rate", exp_anneal_rate, above=0, at_most=1)
        self._penalty = penalty
        self._filter = filter
        self.logits = Logits(space.space, seed=whole_number("seed", seed, at_least=0))
        self._optimizer = torch.optim.AdamW(self.logits.parameters, lr=nas_lr, weight_decay=nas_weight_decay)
        self._cost: ReferenceCost | None = None
        if profiler is not None:
            self._cost = ReferenceCost(profiler, reference, option="reference", space=space.space, strategy=self.name)
        # What the cost or the penalty refuses is refused before anything has run.
        self.loss(torch.ones((), dtype=torch.float64), self.logits.probabilities())

    def step(self, moment: Moment) -> Tensor:
        """See `OneShot.step`: the architecture on one batch, then the weights on another, each with a mask of its own.

        Raises:
            ConfigError: a start of the architecture that is not before the end of the search; a cost whose logarithm is
                not over 0.
        """
        if moment.num_epochs <= self._start_epoch:
            raise ConfigError(
                f"`start_epoch` must be below the epochs of the search, {moment.num_epochs:g}, for the architecture to "
                f"learn; got {self._start_epoch:g}."
            )
        temperature = self.temperature(moment.epoch)
        if moment.epoch >= self._start_epoch:
            masks = self.masks(temperature, moment.rng)
            with put_back(self._space.buffers()):
                loss = self.loss(moment.validation_loss(paths(masks, moment.device)), masks)
                gradients = torch.autograd.grad(loss, self.logits.parameters)
            for parameter, gradient in zip(self.logits.parameters, gradients, strict=True):
                parameter.grad = moment.mean(gradient)
            self._optimizer.step()
        with torch.no_grad():
            selection = paths(self.masks(temperature, moment.rng), moment.device)
        loss = moment.training_loss(selection)
        moment.backward(loss)
        return loss.detach()

    def temperature(self, epoch: float) -> float:
        """Of the Gumbel softmax; lower after every whole epoch since the architecture learns."""
        return self._init_temperature * self._exp_anneal_rate ** math.floor(max(0.0, epoch - self._start_epoch))

    def masks(self, temperature: float, rng: np.random.Generator | None = None) -> dict[str, Tensor]:
        """The mask: m = softmax((alpha + g) / tau), by choice, shape (num_options,), with gradient to the logits.

        Args:
            temperature: tau.
            rng: of Gumbel's g; None for no noise, where the mixture is evaluated.
        """
        masks = {}
        for name, logits in self.logits.values.items():
            noise = torch.zeros_like(logits) if rng is None else torch.from_numpy(rng.gumbel(size=len(logits)))
            masks[name] = torch.softmax((logits + noise) / temperature, 0)
        return masks

    def loss(self, loss: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Equation 2: what the architecture learns from, in double precision on the CPU.

        Args:
            loss: of the mixture under `masks`, a scalar.
            masks: by choice; the cost is that of the same draw.

        Raises:
            ConfigError: a cost whose logarithm is not over 0, in the published form.
        """
        loss = loss.to(device="cpu", dtype=torch.float64)
        if self._cost is not None:
            expected = self._cost.expected(masks)
            if self._mode == "add":
                size = self._cost.magnitude(expected) if self._published_loss else expected / self._cost.reference
                loss = loss + self._alpha * size**self._beta
            elif self._published_loss:
                logarithm = self._cost.log(expected, what="The cost", instead='published_loss=False or mode="add"')
                loss = loss * self._alpha * logarithm**self._beta
            else:
                relative = torch.log1p((math.e - 1) * expected / self._cost.reference)
                loss = loss * self._alpha * relative**self._beta
        if self._penalty is not None:
            loss = self._penalty(loss, probabilities=masks, architecture=None)
        return loss

    def distribution(self) -> Distribution:
        """See `OneShot.distribution`: the softmax of the logits, without noise and temperature."""
        return self.logits.distribution()

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """See `OneShot.derive`: the most probable option of every choice, as far as the budgets allow."""
        scores = relative_to_largest(self.logits.numpy())
        return derive_from_scores(self._space.space, scores, budgets, filter=self._filter)

    def state(self) -> Mapping[str, Tensor]:
        """See `OneShot.state`."""
        return {**self.logits.state(), **optimizer_state(self._optimizer)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See `OneShot.load_state`."""
        self.logits.load_state(state)
        load_optimizer_state(self._optimizer, state)
