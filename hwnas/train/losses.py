"""Losses of classification. N images, K classes."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

__all__ = ["cross_entropy", "distillation"]


def cross_entropy(outputs_NK: Tensor, labels_N: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy of the labels, in nats."""
    return functional.cross_entropy(outputs_NK.float(), labels_N, label_smoothing=label_smoothing)


def distillation(outputs_NK: Tensor, teacher_NK: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence KL(teacher || student) in nats; no gradient goes to the teacher.

    Source: G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531,
    at temperature 1.
    """
    student = functional.log_softmax(outputs_NK.float(), dim=1)
    teacher = functional.log_softmax(teacher_NK.detach().float(), dim=1)
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
