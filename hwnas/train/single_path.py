"""Uniform single-path training of a supernet.

Z. Guo, X. Zhang, H. Mu, W. Heng, Z. Liu, Y. Wei, J. Sun, "Single Path One-Shot Neural Architecture Search with Uniform
Sampling", ECCV 2020, https://arxiv.org/abs/1904.00420

Equations (6) and (7): every step takes one architecture a ~ U(A) and minimises its loss, L(N(a, W(a))), on one batch.

With `bins` the architecture is drawn uniformly over ranges of cost instead; see `cost_bins`.

What differs: nothing in the step. Uniform means uniform over architectures, also where choices are conditional.
"""

from __future__ import annotations

from torch import Tensor

from hwnas.data import Batch, Task
from hwnas.space import Space
from hwnas.train.cost_bins import CostBins
from hwnas.train.loop import Forward, Step, StepContext

__all__ = ["single_path"]


def single_path(space: Space, task: Task, *, label_smoothing: float, bins: CostBins | None = None) -> Step:
    """The step of single-path training; with `bins` uniform over them, without uniform over architectures."""
    draw = space.sample if bins is None else bins.sample

    def step(network: Forward, batch: Batch, context: StepContext) -> Tensor:
        architecture = draw(context.rng)
        outputs = network(batch.inputs, architecture)
        loss = task.training_loss(outputs, batch.labels, label_smoothing=label_smoothing)
        context.backward(loss)
        return loss.detach()

    return step
