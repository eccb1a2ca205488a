"""DARTS: the architecture by gradient descent on a mixture of all options.

Liu, Simonyan, Yang: DARTS: Differentiable Architecture Search. ICLR 2019, https://arxiv.org/abs/1806.09055.
Equation 2 is the mixture, algorithm 1 the alternation, equations 7 and 8 the second order.

What differs from the paper: any choice of a space is mixed, not only the operations of a cell. Hard budgets and a
penalty, which the paper does not have: the derivation is an integer program whose optimum, without budgets, is the
paper's derivation. The virtual step of the second order is the step that `torch.optim.SGD` would take, Nesterov's
momentum included, and random numbers (dropout) are alike in its three passes over the training batch. An architecture
step leaves nothing behind in the supernet: also the running statistics of batch norm are put back, in both orders, so
that they are of training images alone. The clipping of the real step is left out of the virtual one, as in the paper's
own program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hwnas.arguments import finite_number, truth, whole_number
from hwnas.cost import Budget
from hwnas.errors import ConfigError
from hwnas.nn import ModelSpace
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
from hwnas.strategy.relaxed_nodes import relaxed_nodes
from hwnas.train import Recipe

__all__ = ["DARTS", "unrolled_gradient"]

_PERTURBATION = 0.01  # of the finite difference, section 2.3: the length of the step in the space of weights


class DARTS:
    """Weights learn on one half of the training data, the architecture on the other, in turns.

    Every option runs, with its probability p = softmax(alpha) as weight. In an `nn.Node` all edges run, and the
    operation of each has one logit more, `none`, whose share of the output is dropped; the strength of an edge is the
    largest probability of its operations, and the node keeps the strongest edges.

    Args:
        space: the model space that is being trained.
        budgets: hard limits that there must be an architecture for; `derive` is told them again.
        unrolled: the second order, which sees how the architecture changes the next weights; some three times the time.
            For training in float32: bfloat16 rounds the difference of equation 8 away.
        architecture_learning_rate: of Adam, with betas (0.5, 0.999).
        architecture_weight_decay: of Adam, L2 on the logits.
        num_warmup_epochs: epochs in which only the weights learn.
        none: whether the operations of a node have the logit `none`.
        penalty: on the validation loss, of the expected cost.
        filter: what the architecture must be accepted by: a range of a profiler, or a function.
        seed: of the logits at the start.

    Attributes:
        logits: alpha; there are none for the inputs of nodes.

    Raises:
        StrategyError: options that cannot be added up, or a node whose edges do not have one `LayerChoice` each.
        ConfigError: an option out of range; a penalty or a filter of another space; a penalty that needs a sample.
        InfeasibleError: no architecture keeps the budgets and the filter's range.
    """

    name: ClassVar[str] = "darts"
    recipe: ClassVar[Recipe] = Recipe(
        epochs=50,
        batch_size=64,
        learning_rate=0.025,
        min_learning_rate=0.001,
        momentum=0.9,
        weight_decay=3e-4,
        label_smoothing=0.0,
        gradient_clip=5.0,
    )
    trains_weights: bool = True

    def __init__(
        self,
        space: ModelSpace,
        budgets: Sequence[Budget] = (),
        *,
        unrolled: bool = False,
        architecture_learning_rate: float = 3e-4,
        architecture_weight_decay: float = 1e-3,
        num_warmup_epochs: float = 0.0,
        none: bool = True,
        penalty: Penalty | None = None,
        filter: Accepts | None = None,
        seed: int = 0,
    ) -> None:
        space, budgets = given_model_space(space), given_budgets(budgets)
        architecture_learning_rate = finite_number("architecture_learning_rate", architecture_learning_rate, above=0)
        architecture_weight_decay = finite_number("architecture_weight_decay", architecture_weight_decay, at_least=0)
        num_warmup_epochs = finite_number("num_warmup_epochs", num_warmup_epochs, at_least=0)
        seed = whole_number("seed", seed, at_least=0)
        require_mixable(space, self.name)
        if penalty is not None:
            penalty.check(space.space, self.name)
        check_filter(filter, space.space, self.name)
        require_feasible(space.space, [*budgets, *limits_of(filter)])
        self._space = space
        self._unrolled = truth("unrolled", unrolled)
        self._num_warmup_epochs = num_warmup_epochs
        self._penalty = penalty
        self._filter = filter
        self._nodes = relaxed_nodes(space)
        operations = {name for node in self._nodes.values() for name in node.operations}
        self.logits = Logits(
            space.space,
            seed=seed,
            more=dict.fromkeys(operations, 1) if truth("none", none) else None,
            without=self._nodes,
        )
        self._optimizer = torch.optim.Adam(
            self.logits.parameters,
            lr=architecture_learning_rate,
            betas=(0.5, 0.999),
            weight_decay=architecture_weight_decay,
        )
        with torch.no_grad():  # a penalty that needs a sample is to fail now, not after the warm-up
            self._penalised(torch.ones(()))

    def step(self, moment: Moment) -> Tensor:
        """See `OneShot.step`: both lines of algorithm 1, the second without the optimiser's step.

        Raises:
            ConfigError: a warm-up that is not shorter than the search; the second order in another precision than
                float32, or with weights not under SGD.
        """
        if self._unrolled and moment.precision != "float32":
            raise ConfigError(
                "DARTS with unrolled=True takes differences of gradients, which are lost in bfloat16; got precision "
                f'"{moment.precision}". Use "float32", or unrolled=False.'
            )
        if moment.num_epochs <= self._num_warmup_epochs:
            raise ConfigError(
                f"`num_warmup_epochs` must be below the epochs of the search, {moment.num_epochs:g}, for the "
                f"architecture to learn; got {self._num_warmup_epochs:g}."
            )
        if moment.epoch >= self._num_warmup_epochs:
            logits = self.logits.parameters
            for parameter, gradient in zip(logits, self._gradient(moment), strict=True):
                parameter.grad = gradient
            self._optimizer.step()
        with torch.no_grad():
            selection = paths(self._weights(), moment.device)
        loss = moment.training_loss(selection)
        moment.backward(loss)
        return loss.detach()

    def distribution(self) -> Distribution:
        """How likely the derivation is to keep an option, where its choice is active."""
        with torch.no_grad():
            probabilities = self._probabilities()
        return Distribution(self._space.space, {name: values.numpy() for name, values in probabilities.items()})

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """See `OneShot.derive`: in each node the strongest edges, with their strongest operations (section 2.4)."""
        with torch.no_grad():
            logs = {name: values.numpy() for name, values in self._log_weights().items()}
        scores = relative_to_largest(logs)
        for name, node in self._nodes.items():
            scores.update({operation: logs[operation] for operation in node.operations})
            # As for every choice, the best that the node can be counts 0.
            strengths = sorted(logs[operation].max() for operation in node.operations)
            scores[name] = np.full(len(node.tuples), -sum(strengths[-node.num_kept :]))
        return derive_from_scores(self._space.space, scores, budgets, filter=self._filter)

    def state(self) -> Mapping[str, Tensor]:
        """See `OneShot.state`."""
        return {**self.logits.state(), **optimizer_state(self._optimizer)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See `OneShot.load_state`."""
        self.logits.load_state(state)
        load_optimizer_state(self._optimizer, state)

    def _log_weights(self) -> dict[str, Tensor]:
        """log p of every option but `none`, which has a share of the probability; by choice, shape (num_options,)."""
        return {
            name: torch.log_softmax(logits, 0)[: self._space.space.choice(name).num_options]
            for name, logits in self.logits.values.items()
        }

    def _weights(self) -> dict[str, Tensor]:
        """The weights in the mixture. Every edge of a node runs with weight 1."""
        weights = {name: logs.exp() for name, logs in self._log_weights().items()}
        for name, node in self._nodes.items():
            weights[name] = torch.full((len(node.tuples),), node.tuple_weight, dtype=torch.float64)
        return weights

    def _probabilities(self) -> dict[str, Tensor]:
        """Of every option, that the derivation keeps it: for expected costs, with gradient to the logits."""
        logs = self._log_weights()
        probabilities = {name: torch.softmax(values, 0) for name, values in logs.items()}
        for name, node in self._nodes.items():
            strengths = torch.stack([logs[operation].amax() for operation in node.operations])
            probabilities[name] = torch.softmax(strengths[torch.tensor(node.tuples)].sum(1), 0)
        return probabilities

    def _penalised(self, loss: Tensor) -> Tensor:
        if self._penalty is None:
            return loss
        return self._penalty(loss, probabilities=self._probabilities(), architecture=None)

    def _gradient(self, moment: Moment) -> list[Tensor]:
        """Of the validation loss and its penalty with respect to the logits."""

        def training_loss() -> Tensor:
            return moment.unwrapped_training_loss(paths(self._weights(), moment.device))

        def validation_loss() -> Tensor:
            return self._penalised(moment.validation_loss(paths(self._weights(), moment.device)))

        logits = self.logits.parameters
        with put_back(self._space.buffers()):
            if self._unrolled:
                return unrolled_gradient(
                    _repeating(training_loss, moment.device), validation_loss, logits, moment.optimizer, moment.mean
                )
            return [moment.mean(gradient) for gradient in _gradients(validation_loss(), logits)]


def unrolled_gradient(
    training_loss: Callable[[], Tensor],
    validation_loss: Callable[[], Tensor],
    logits: Sequence[Tensor],
    optimizer: torch.optim.Optimizer,
    mean: Callable[[Tensor], Tensor] = lambda gradient: gradient,
) -> list[Tensor]:
    """The gradient of the validation loss after the weights' next step, w'(alpha), with respect to alpha.

    Equation 7, with the product of the Hessian and a vector as the finite difference of equation 8. The weights are
    moved and put back, to the last bit, also where a loss raises.

    Args:
        training_loss: of the weights and logits as they are, on one and the same batch.
        validation_loss: likewise.
        logits: alpha.
        optimizer: of the weights; their learning rate, momentum, weight decay and momentum buffers are read from it.
        mean: over the processes.

    Raises:
        ConfigError: an optimiser that is not SGD.
    """
    if not isinstance(optimizer, torch.optim.SGD):
        raise ConfigError(
            "DARTS with unrolled=True takes a virtual step of the weights as SGD does; the optimiser is "
            f'{type(optimizer).__name__}. Use optimizer = "sgd" in the recipe, or unrolled=False.'
        )
    groups = [(weight, group) for group in optimizer.param_groups for weight in group["params"] if weight.requires_grad]
    weights = [weight for weight, _ in groups]
    with put_back(weights) as before:
        gradients = [mean(gradient) for gradient in _gradients(training_loss(), weights)]
        rates = []
        with torch.no_grad():
            for (weight, group), gradient in zip(groups, gradients, strict=True):
                update, rate = _sgd_update(group, optimizer.state.get(weight, {}), weight, gradient)
                weight -= update
                rates.append(rate)
        found = [mean(gradient) for gradient in _gradients(validation_loss(), [*logits, *weights])]
        direct, vector = found[: len(logits)], found[len(logits) :]
        # Equation 7 has one learning rate; where groups have several, the largest, and shorter directions.
        largest = max(rates)
        if not largest > 0:
            return direct
        directions = [gradient * (rate / largest) for gradient, rate in zip(vector, rates, strict=True)]
        norm = math.sqrt(sum(float(direction.double().square().sum()) for direction in directions))
        if norm == 0:
            return direct
        epsilon = _PERTURBATION / norm
        sides = []
        for step in (epsilon, -epsilon):
            with torch.no_grad():
                for weight, value, direction in zip(weights, before, directions, strict=True):
                    torch.add(value, direction, alpha=step, out=weight)
            sides.append([mean(gradient) for gradient in _gradients(training_loss(), logits)])
    return [
        gradient - largest * (plus - minus) / (2 * epsilon)
        for gradient, plus, minus in zip(direct, *sides, strict=True)
    ]


def _sgd_update(
    group: Mapping[str, Any], state: Mapping[str, Any], weight: Tensor, gradient: Tensor
) -> tuple[Tensor, float]:
    """What `torch.optim.SGD` would subtract from a weight, and its derivative with respect to the gradient."""
    update, rate = gradient + group["weight_decay"] * weight, 1.0
    if group["momentum"]:
        buffer = state.get("momentum_buffer")
        damping = 1.0 if buffer is None else 1.0 - group["dampening"]  # the first step sets the buffer, undamped
        velocity = update * damping if buffer is None else group["momentum"] * buffer + update * damping
        if group["nesterov"]:
            update, rate = update + group["momentum"] * velocity, 1.0 + group["momentum"] * damping
        else:
            update, rate = velocity, damping
    learning_rate = float(group["lr"])
    return learning_rate * update, learning_rate * rate


def _gradients(loss: Tensor, of: Sequence[Tensor]) -> Sequence[Tensor]:
    """Zeros for what the loss does not depend on."""
    return torch.autograd.grad(loss, of, allow_unused=True, materialize_grads=True)


def _repeating(loss: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    """The same function with the same random numbers at every call: differences are then of weights alone."""
    host = torch.get_rng_state()
    accelerator = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def repeated() -> Tensor:
        torch.set_rng_state(host)
        if accelerator is not None:
            torch.cuda.set_rng_state(accelerator, device)
        return loss()

    return repeated
