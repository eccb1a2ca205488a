"""The controller of ENAS: an LSTM that decides the choices of an architecture one after the other.

Hieu Pham, Melody Guan, Barret Zoph, Quoc Le, Jeff Dean: "Efficient Neural Architecture Search via Parameter Sharing",
ICML 2018, https://arxiv.org/abs/1802.03268, section 2; constants from its appendix C and the program published with it.

What differs: it goes through the choices of any space, in the space's order, and passes over those that are inactive.
Each choice has a linear head and an embedding of its options of its own; the paper chooses inputs by attention over
earlier layers. An option without a completion within the budgets has probability 0.

N architectures, C choices, n options of one choice.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hwnas.space import INACTIVE, Choice, Space
from hwnas.strategy.completion import BudgetMasks

__all__ = ["Controller", "Samples", "controller_loss"]

_START = 0.1  # weights start uniform in [-0.1, 0.1]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Architectures that the controller decided, and how it came to them.

    Attributes:
        codes: encoded, shape (N, C). They keep the budgets of the masks, unless these led into a dead end.
        log_probabilities: of each, shape (N,), in nats, with gradient to the controller.
        entropies: of the decisions made on the way, their sum, shape (N,), in nats; without gradient.
        divergences: KL(probability of yes || the target), summed over the yes/no choices met on the way, before any
            mask; shape (N,), in nats, with gradient.
    """

    codes: NDArray[np.int32]
    log_probabilities: Tensor
    entropies: Tensor
    divergences: Tensor


class Controller(nn.Module):
    """A distribution over the architectures of a space, in double precision on the CPU.

    The logits of a choice are tanh_constant * tanh(W h / temperature), with h the output of the LSTM, which reads the
    embedding of the option chosen last. A yes/no choice (options False and True) has the log-odds of `skip_target`
    added, so that yes is about that likely in the beginning.
    """

    def __init__(
        self,
        space: Space,
        *,
        lstm_size: int = 64,
        lstm_num_layers: int = 1,
        tanh_constant: float | None = 1.5,
        temperature: float | None = None,
        skip_target: float = 0.4,
        seed: int = 0,
    ) -> None:
        """See the class.

        Args:
            space: what may vary.
            lstm_size: numbers in a layer's hidden state.
            lstm_num_layers: layers of the LSTM.
            tanh_constant: the largest logit; None for no limit.
            temperature: larger is closer to uniform; None for 1.
            skip_target: how likely yes is in the beginning, and where its divergence is 0.
            seed: of the weights.
        """
        super().__init__()
        self.space = space
        self.lstm_size = lstm_size
        self.tanh_constant = tanh_constant
        self.temperature = temperature
        self.start = nn.Parameter(torch.empty(1, lstm_size))
        with torch.random.fork_rng(devices=[]):  # modules draw weights from the global generator when they are made
            self.layers = nn.ModuleList(nn.LSTMCell(lstm_size, lstm_size) for _ in range(lstm_num_layers))
            self.heads = nn.ModuleList(nn.Linear(lstm_size, c.num_options, bias=False) for c in space.choices)
            self.embeddings = nn.ModuleList(nn.Embedding(c.num_options, lstm_size) for c in space.choices)
        self.double()
        self._log_targets = [_log_target(choice, skip_target) for choice in space.choices]
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-_START, _START, generator=generator)

    def sample(self, num: int, masks: BudgetMasks, rng: np.random.Generator) -> Samples:
        """`num` independent architectures, each option drawn with its probability under the masks."""

        def draw(probabilities_Nn: NDArray[np.float64]) -> NDArray[np.int64]:
            cumulative = probabilities_Nn.cumsum(axis=1)
            # Divided by the total, so that rounding cannot draw an option behind the last.
            passed: NDArray[np.bool_] = rng.random((num, 1)) >= cumulative / cumulative[:, -1:]
            return np.asarray(passed.sum(axis=1))

        return self._walk(num, masks, draw)

    def most_likely(self, masks: BudgetMasks) -> Samples:
        """One architecture: at each choice the option that is most likely under the masks."""
        return self._walk(1, masks, lambda probabilities_Nn: probabilities_Nn.argmax(axis=1))

    def _walk(self, num: int, masks: BudgetMasks, pick: Callable[[NDArray[np.float64]], NDArray[np.int64]]) -> Samples:
        codes = np.full((num, len(self.space.choices)), INACTIVE, dtype=np.int32)
        log_probabilities, entropies, divergences = self.start.new_zeros(3, num)
        zeros = self.start.new_zeros(num, self.lstm_size)
        inputs, states = self.start.expand(num, -1), [(zeros, zeros)] * len(self.layers)
        walk = masks.walk(num)
        for position, choice in enumerate(self.space.choices):
            active = self.space.active(position, codes)
            if active.any():
                rows = torch.from_numpy(active)
                output, states = self._advance(inputs, states, rows)
                logits = self._logits(position, output)
                allowed = torch.from_numpy(walk.allowed(choice.num_options))
                logs = torch.log_softmax(logits.masked_fill(~allowed, -torch.inf), dim=1)
                probabilities = logs.detach().exp()
                picked = torch.from_numpy(pick(probabilities.numpy()))
                log_probabilities = log_probabilities + logs.gather(1, picked[:, None])[:, 0].where(rows, 0)
                entropies = entropies + torch.special.entr(probabilities).sum(dim=1).where(rows, 0)
                divergences = divergences + self._divergence(position, logits).where(rows, 0)
                inputs = self.embeddings[position](picked).where(rows[:, None], inputs)
                codes[active, position] = picked.numpy()[active]
            walk.decide(codes[:, position])
        return Samples(codes=codes, log_probabilities=log_probabilities, entropies=entropies, divergences=divergences)

    def _advance(
        self, inputs: Tensor, states: list[tuple[Tensor, Tensor]], rows: Tensor
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """One step of the LSTM in those rows; in the others its state stays."""
        new = []
        for layer, (hidden, cell) in zip(self.layers, states, strict=True):
            next_hidden, next_cell = layer(inputs, (hidden, cell))
            new.append((next_hidden.where(rows[:, None], hidden), next_cell.where(rows[:, None], cell)))
            inputs = next_hidden
        return inputs, new

    def _logits(self, position: int, output: Tensor) -> Tensor:
        logits: Tensor = self.heads[position](output)
        if self.temperature is not None:
            logits = logits / self.temperature
        if self.tanh_constant is not None:
            logits = self.tanh_constant * torch.tanh(logits)
        log_target = self._log_targets[position]
        return logits if log_target is None else logits + log_target

    def _divergence(self, position: int, logits: Tensor) -> Tensor:
        log_target = self._log_targets[position]
        if log_target is None:
            return logits.new_zeros(len(logits))
        logs = torch.log_softmax(logits, dim=1)
        return (logs.exp() * (logs - log_target)).sum(dim=1)


def controller_loss(samples: Samples, rewards: Tensor, *, baseline: Tensor, skip_weight: float) -> Tensor:
    """What the controller minimises: the mean of -(log p)(R - b) + skip_weight * KL over the samples.

    Its gradient is that of REINFORCE (section 2.2): an unbiased estimate of minus the gradient of the expected reward.

    Args:
        samples: N of them.
        rewards: R, shape (N,), without gradient.
        baseline: b, a scalar without gradient.
        skip_weight: of the divergence of yes/no choices.
    """
    return (-samples.log_probabilities * (rewards - baseline) + skip_weight * samples.divergences).mean()


def _log_target(choice: Choice, skip_target: float) -> Tensor | None:
    """The logarithms of the probabilities that a yes/no choice is to have; None for any other choice."""
    if choice.num_options != 2 or not all(isinstance(option, bool) for option in choice.options):
        return None
    return torch.tensor(
        [math.log(skip_target if option else 1.0 - skip_target) for option in choice.options], dtype=torch.float64
    )
