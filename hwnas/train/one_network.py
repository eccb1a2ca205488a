"""Training one network of a supernet alone.

Niv Nayman, Yonathan Aflalo, Asaf Noy, Lihi Zelnik-Manor: "HardCoRe-NAS: Hard Constrained diffeRentiable Neural
Architecture Search", ICML 2021, https://arxiv.org/abs/2102.11646, section 4, and H. Cai et al., "Once-for-All",
ICLR 2020, https://arxiv.org/abs/1908.09791: the heaviest network first, so that the others begin with its weights.
"""

from __future__ import annotations

from torch import Tensor

from hwnas.data import Batch, Task
from hwnas.space import Architecture
from hwnas.train.loop import Forward, Step, StepContext

__all__ = ["one_network"]


def one_network(architecture: Architecture, task: Task, *, label_smoothing: float) -> Step:
    """The step: a batch through this network; weights that it does not use stay as they are."""

    def step(network: Forward, batch: Batch, context: StepContext) -> Tensor:
        outputs = network(batch.inputs, architecture)
        loss = task.training_loss(outputs, batch.labels, label_smoothing=label_smoothing)
        context.backward(loss)
        return loss.detach()

    return step
