"""The sandwich rule with in-place distillation.

J. Yu, T. Huang, "Universally Slimmable Networks and Improved Training Techniques", ICCV 2019,
https://arxiv.org/abs/1903.05134 (sections 3.2 and 3.3, Algorithm 1)

Every step trains the largest network on the labels, and the smallest and `num_random` random ones on the largest's
detached soft labels; the gradients add up to one optimiser step.

What differs: the space is any space, not widths alone; the others' loss has a weight, `distillation`, 1 in the paper.
"""

from __future__ import annotations

from torch import Tensor

from hwnas.data import Batch, Task
from hwnas.space import Architecture, Space
from hwnas.train.loop import Forward, Step, StepContext

__all__ = ["sandwich"]


def sandwich(
    space: Space,
    task: Task,
    *,
    largest: Architecture,
    smallest: Architecture,
    num_random: int,
    label_smoothing: float,
    weight: float,
) -> Step:
    """The step of the sandwich rule; it reports the largest network's loss, which alone sees the labels."""

    def step(network: Forward, batch: Batch, context: StepContext) -> Tensor:
        teacher = network(batch.inputs, largest)
        loss = task.training_loss(teacher, batch.labels, label_smoothing=label_smoothing)
        context.backward(loss)
        for architecture in (smallest, *(space.sample(context.rng) for _ in range(num_random))):
            context.backward(weight * task.distillation(network(batch.inputs, architecture), teacher))
        return loss.detach()

    return step
