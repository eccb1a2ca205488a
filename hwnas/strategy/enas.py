"""ENAS: a controller that learns by REINFORCE which paths of a supernet are good.

Hieu Pham, Melody Guan, Barret Zoph, Quoc Le, Jeff Dean: "Efficient Neural Architecture Search via Parameter Sharing",
ICML 2018, https://arxiv.org/abs/1802.03268. Weights learn from sampled paths (equation 1), the controller's policy
pi(m; theta) from the reward R(m) of its samples on validation data (section 2.2); derived is the sample with the best
score of several (section 2.3). Constants from appendix C and the program published with the paper.

What differs from the paper:

- It searches any space (see `controller`), under hard budgets: an option without a completion within the budgets has
  probability 0. Where budgets exclude each other further on, the exact solver repairs the path; what a user's filter
  refuses is drawn again. What was drawn first is then what is learned from, with the reward of what ran.
- Weights and controller learn in turns of steps, not of epochs. The published program takes 50 controller steps after
  an epoch of some 350 steps of weights; so one comes after every seven here.
- The divergence of the skips is that of all of a path together, their sum. The baseline starts at the mean reward of
  the first controller step, not at 0, and an advantage is taken against the baseline of the steps before.
- In the last `scoring_share` of the search the controller rests. A fixed set of its samples is scored on the validation
  batches of all these steps (the paper: one batch). Under budgets that none of them keeps, derived is the controller's
  most likely option at each choice, under the masks of these budgets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from hwnas.arguments import finite_number, whole_number
from hwnas.cost import Budget, keeps_all
from hwnas.errors import ConfigError, TrainingError
from hwnas.nn import ModelSpace
from hwnas.space import Architecture, Distribution
from hwnas.strategy.completion import BudgetMasks
from hwnas.strategy.controller import Controller, Samples, controller_loss
from hwnas.strategy.feasible import repair, require_feasible
from hwnas.strategy.filters import Accepts, accepted, check_filter, limits_of
from hwnas.strategy.given import given_budgets, given_model_space
from hwnas.strategy.logits import load_optimizer_state, load_tensors, optimizer_state
from hwnas.strategy.one_shot import Moment
from hwnas.strategy.penalties import Penalty, check_reward_penalty
from hwnas.strategy.protocol import Derived
from hwnas.strategy.put_back import put_back
from hwnas.train import Recipe

__all__ = ["ENAS"]

_NUM_COUNTED = 256  # samples behind `distribution`: a frequency is then off by 0.03 at most, as a standard error


class ENAS:
    """Each step trains the weights of one sampled path; every few steps the controller learns from the scores of some.

    Args:
        space: the model space that is being trained.
        budgets: hard limits that every path keeps; `derive` is told them again.
        controller_learning_rate: of Adam.
        lstm_size: numbers in the hidden state of the controller.
        lstm_num_layers: layers of the controller.
        tanh_constant: the largest logit; None for no limit.
        temperature: of the controller's choices, larger is closer to uniform; None for 1.
        entropy_weight: of a path's entropy, in nats, in its reward.
        skip_target: how likely yes is to be, in choices between False and True.
        skip_weight: of the divergence from that, in nats, in the controller's loss.
        baseline_decay: of the moving average of rewards, for each path.
        num_samples: paths that a controller step averages over; each is run on the validation batch.
        steps_per_controller_step: steps of weights for one of the controller.
        num_warmup_epochs: epochs in which only the weights learn, as in the first epoch of the published program.
        num_derived_samples: samples of the trained controller that are scored in the end, to derive the best.
        scoring_share: of the search, at its end, in which they are scored.
        gradient_clip: the largest norm of the controller's gradient; None for no limit.
        penalty: on the score of a sampled path, as a reward: its scale is negative for a cost that is not wanted.
        filter: what every path must be accepted by: a range of a profiler, or a function.
        seed: of the controller's weights, and of the samples that `distribution` counts.

    Attributes:
        controller: the policy.

    Raises:
        ConfigError: an option out of range; a penalty on expected costs or that favours costs; a penalty or a filter
            of another space.
        InfeasibleError: no architecture keeps the budgets and the filter's range.
    """

    name: ClassVar[str] = "enas"
    recipe: ClassVar[Recipe] = Recipe(
        epochs=150,
        batch_size=128,
        learning_rate=0.05,
        min_learning_rate=0.001,
        momentum=0.9,
        weight_decay=1e-4,
        label_smoothing=0.0,
        gradient_clip=5.0,
    )
    trains_weights: bool = True

    def __init__(
        self,
        space: ModelSpace,
        budgets: Sequence[Budget] = (),
        *,
        controller_learning_rate: float = 3.5e-4,
        lstm_size: int = 64,
        lstm_num_layers: int = 1,
        tanh_constant: float | None = 1.5,
        temperature: float | None = None,
        entropy_weight: float = 1e-4,
        skip_target: float = 0.4,
        skip_weight: float = 0.8,
        baseline_decay: float = 0.999,
        num_samples: int = 20,
        steps_per_controller_step: int = 7,
        num_warmup_epochs: float = 1.0,
        num_derived_samples: int = 20,
        scoring_share: float = 0.02,
        gradient_clip: float | None = 5.0,
        penalty: Penalty | None = None,
        filter: Accepts | None = None,
        seed: int = 0,
    ) -> None:
        space, budgets = given_model_space(space), given_budgets(budgets)
        if tanh_constant is not None:
            tanh_constant = finite_number("tanh_constant", tanh_constant, above=0, otherwise="or None")
        if temperature is not None:
            temperature = finite_number("temperature", temperature, above=0, otherwise="or None")
        if gradient_clip is not None:
            gradient_clip = finite_number("gradient_clip", gradient_clip, above=0, otherwise="or None")
        num_derived_samples = whole_number("num_derived_samples", num_derived_samples, at_least=1)
        controller_learning_rate = finite_number("controller_learning_rate", controller_learning_rate, above=0)
        seed = whole_number("seed", seed, at_least=0)
        check_reward_penalty(penalty, space.space, self.name)
        check_filter(filter, space.space, self.name)
        limits = [*budgets, *limits_of(filter)]
        require_feasible(space.space, limits)
        self._space = space
        self._masks = BudgetMasks(space.space, limits)
        self._entropy_weight = finite_number("entropy_weight", entropy_weight, at_least=0)
        self._skip_weight = finite_number("skip_weight", skip_weight, at_least=0)
        self._baseline_decay = finite_number("baseline_decay", baseline_decay, at_least=0, below=1)
        self._num_samples = whole_number("num_samples", num_samples, at_least=1)
        self._steps_per_controller_step = whole_number(
            "steps_per_controller_step", steps_per_controller_step, at_least=1
        )
        self._num_warmup_epochs = finite_number("num_warmup_epochs", num_warmup_epochs, at_least=0)
        self._scoring_share = finite_number("scoring_share", scoring_share, at_least=0, below=1)
        self._gradient_clip = gradient_clip
        self._penalty = penalty
        self._filter = filter
        self._seed = seed
        self.controller = Controller(
            space.space,
            lstm_size=whole_number("lstm_size", lstm_size, at_least=1),
            lstm_num_layers=whole_number("lstm_num_layers", lstm_num_layers, at_least=1),
            tanh_constant=tanh_constant,
            temperature=temperature,
            skip_target=finite_number("skip_target", skip_target, above=0, below=1),
            seed=seed,
        )
        self._optimizer = torch.optim.Adam(self.controller.parameters(), lr=controller_learning_rate)
        self._baseline = torch.zeros((), dtype=torch.float64)
        self._num_rewards = torch.zeros((), dtype=torch.int64)  # behind the baseline
        shape = (num_derived_samples, len(space.space.choices))
        self._candidates = torch.zeros(shape, dtype=torch.int64)  # encoded, to derive from
        self._totals = torch.zeros(num_derived_samples, dtype=torch.float64)  # their scores, added up
        self._num_scored = torch.zeros((), dtype=torch.int64)  # batches behind the totals

    def step(self, moment: Moment) -> Tensor:
        """See `OneShot.step`: equation 1 with one path; then perhaps a step of the controller, or scores.

        Raises:
            ConfigError: warm-up and final scoring leave no step to the controller.
            TrainingError: validation scores that are not finite.
        """
        end = (1.0 - self._scoring_share) * moment.num_epochs
        if end <= self._num_warmup_epochs:
            raise ConfigError(
                f"`num_warmup_epochs` must be below {end:g}, the epochs of the search without the `scoring_share` at "
                f"their end, for the controller to learn; got {self._num_warmup_epochs:g}."
            )
        (path,) = self._accepted(self._draw(1, self._masks, moment.rng), self._masks, moment.rng)
        loss = moment.training_loss(path)
        moment.backward(loss)
        if moment.epoch >= end:
            self._score_candidates(moment)
        elif moment.epoch >= self._num_warmup_epochs and (moment.step + 1) % self._steps_per_controller_step == 0:
            self._improve_controller(moment)
        return loss.detach()

    def distribution(self) -> Distribution:
        """How often 256 samples of the controller have each option, among those in which its choice is active.

        Options of a choice that is active in none of them count as equally likely.
        """
        samples = self._draw(_NUM_COUNTED, self._masks, np.random.default_rng(self._seed))
        frequencies = {}
        for choice, column in zip(self._space.space.choices, samples.codes.T, strict=True):
            counts = np.bincount(column[column >= 0], minlength=choice.num_options)
            weights = counts if counts.any() else np.ones(choice.num_options)
            frequencies[choice.name] = weights / weights.sum()
        return Distribution(self._space.space, frequencies)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """See `OneShot.derive`: the best of the scored samples that keep the budgets, if any; see the file's top."""
        space, limits = self._space.space, [*budgets, *limits_of(self._filter)]
        require_feasible(space, limits)
        if num_scored := int(self._num_scored):
            candidates = zip(space.decode(self._candidates.numpy()), self._totals.tolist(), strict=True)
            totals = {path: total for path, total in candidates if keeps_all(path, limits)}
            if totals:
                best = max(totals, key=totals.__getitem__)
                note = f"the best of {len(totals)} samples of the controller on {num_scored} validation batches"
                return Derived(architecture=best, note=f"{note}: {totals[best] / num_scored:.4g}")
        masks = BudgetMasks(space, limits)
        with torch.no_grad():
            samples = self.controller.most_likely(masks)
        (path,) = self._accepted(samples, masks, np.random.default_rng(self._seed))
        return Derived(
            architecture=path,
            note="no scored sample of the controller keeps the budgets: its most likely architecture under them",
        )

    def state(self) -> Mapping[str, Tensor]:
        """See `OneShot.state`."""
        own = {name: tensor.detach().clone() for name, tensor in self._tensors().items()}
        return {**own, **optimizer_state(self._optimizer)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See `OneShot.load_state`."""
        load_tensors(self._tensors(), state)
        load_optimizer_state(self._optimizer, state)

    def _tensors(self) -> dict[str, Tensor]:
        return {
            **{f"controller.{name}": parameter for name, parameter in self.controller.named_parameters()},
            "baseline": self._baseline,
            "num_rewards": self._num_rewards,
            "candidates": self._candidates,
            "candidate_totals": self._totals,
            "num_scored": self._num_scored,
        }

    def _improve_controller(self, moment: Moment) -> None:
        """REINFORCE, section 2.2, and the moving average of appendix C."""
        samples = self.controller.sample(self._num_samples, self._masks, moment.rng)
        paths = self._accepted(samples, self._masks, moment.rng)
        rewards = self._scores(moment, paths) + self._entropy_weight * samples.entropies
        if not self._num_rewards:
            self._baseline.copy_(rewards.mean())
        loss = controller_loss(samples, rewards, baseline=self._baseline.clone(), skip_weight=self._skip_weight)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self._gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.controller.parameters(), self._gradient_clip)
        self._optimizer.step()
        for reward in rewards:
            self._baseline.lerp_(reward, 1.0 - self._baseline_decay)
        self._num_rewards += len(rewards)

    def _score_candidates(self, moment: Moment) -> None:
        if not self._num_scored:
            samples = self._draw(len(self._candidates), self._masks, moment.rng)
            candidates = self._space.space.encode(self._accepted(samples, self._masks, moment.rng))
            self._candidates.copy_(torch.from_numpy(candidates))
        self._totals += self._scores(moment, self._space.space.decode(self._candidates.numpy()))
        self._num_scored += 1

    def _scores(self, moment: Moment, paths: Sequence[Architecture]) -> Tensor:
        """The mean score of each on the validation batch, penalised, shape (len(paths),); equal ones run once."""
        distinct = list(dict.fromkeys(paths))
        with put_back(self._space.buffers()), torch.no_grad():
            means = torch.stack([moment.validation_scores(path).double().mean() for path in distinct])
            scores = dict(zip(distinct, moment.mean(means).cpu(), strict=True))
        if self._penalty is not None:
            scores = {p: self._penalty(score, probabilities={}, architecture=p) for p, score in scores.items()}
        found = torch.stack([scores[path] for path in paths])
        if not found.isfinite().all():
            raise TrainingError(
                f"The validation scores that enas learns from must be finite; got {found.tolist()} for sampled paths. "
                "Lower the learning rate of the weights, or clip their gradient."
            )
        return found

    def _draw(self, num: int, masks: BudgetMasks, rng: np.random.Generator) -> Samples:
        with torch.no_grad():
            return self.controller.sample(num, masks, rng)

    def _accepted(self, samples: Samples, masks: BudgetMasks, rng: np.random.Generator) -> list[Architecture]:
        """The samples; those from a dead end repaired, and those that a filter refuses drawn again."""
        space, filter = self._space.space, self._filter

        def draw() -> Architecture:
            return space.decode(self._draw(1, masks, rng).codes)[0]

        return [
            path if filter is None or filter(path) else accepted(draw, filter, space=space, budgets=masks.budgets)
            for path in (repair(space, path, masks.budgets) for path in space.decode(samples.codes))
        ]
