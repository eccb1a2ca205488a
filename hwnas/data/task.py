"""What is asked of a network: the loss it is trained on and the score it is judged by. N examples, K outputs each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from hwnas.errors import DataError

__all__ = ["CLASSIFICATION", "REGRESSION", "Task", "landmarks"]

EachExample = Callable[[Tensor, Tensor], Tensor]
"""From a network's outputs, as floats, and the targets to one number an example, shape (N,)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A task as two functions: loss and score.

    Attributes:
        name: for messages and results.
        loss: what is minimised, for every example.
        score: what architectures and networks are compared by, for every example; larger is better.
        score_name: what the mean score is called: "accuracy". One that ends in "accuracy" is a fraction, shown in
            percent.
        has_classes: whether targets are the numbers of classes: parts are then stratified, and none may be empty.
        num_auxiliary: how many numbers, the last of every target, an auxiliary head learns from in training; the
            network itself does not give them, and they are of no account to the score.
    """

    name: str
    loss: EachExample
    score: EachExample
    score_name: str = "score"
    has_classes: bool = False
    num_auxiliary: int = 0

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of every example, shape (N,).

        Raises:
            DataError: the function gives something else.
        """
        return self._each(self.loss, "loss", outputs, targets)

    def scores(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The score of every example, shape (N,), detached.

        Raises:
            DataError: the function gives something else.
        """
        return self._each(self.score, "score", outputs.detach(), targets).float()

    def training_loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """The mean loss; `label_smoothing` is for the cross-entropy of `CLASSIFICATION`, of no account elsewhere."""
        if label_smoothing and self.loss is _cross_entropies:
            return functional.cross_entropy(outputs.float(), targets, label_smoothing=label_smoothing)
        return self.losses(outputs, targets).mean()

    def distillation(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        """How far outputs are from a teacher's, to which no gradient goes.

        With classes the mean Kullback-Leibler divergence KL(teacher || student) in nats (G. Hinton, O. Vinyals and
        J. Dean, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531, at temperature 1); else the mean
        squared difference.

        Raises:
            DataError: outputs and the teacher's have different shapes.
        """
        if outputs.shape != teacher.shape:
            raise DataError(
                f"A teacher must give outputs of the network's shape, {tuple(outputs.shape)}; got "
                f"{tuple(teacher.shape)}. Take another teacher, or train without one."
            )
        outputs, teacher = outputs.float(), teacher.detach().float()
        if not self.has_classes:
            return functional.mse_loss(outputs, teacher)
        student, target = functional.log_softmax(outputs, dim=1), functional.log_softmax(teacher, dim=1)
        return functional.kl_div(student, target, reduction="batchmean", log_target=True)

    def _each(self, function: EachExample, what: str, outputs: Tensor, targets: Tensor) -> Tensor:
        try:
            values = function(outputs.float(), targets)
        except (IndexError, RuntimeError, ValueError) as error:
            raise DataError(
                f"The {what} of the task {self.name!r} fails on outputs of the shape {tuple(outputs.shape)} and "
                f"targets of the shape {tuple(targets.shape)}: {error}"
            ) from error
        if not isinstance(values, Tensor) or values.shape != (len(targets),):
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise DataError(
                f"The {what} of the task {self.name!r} must give one number an example, shape ({len(targets)},); got "
                f"{got}. Leave the mean over the batch out."
            )
        return values


def landmarks(*, eyes: tuple[int, int] = (35, 93), angles: bool = False) -> Task:
    """Points in an image: targets and outputs are (N, 2 P), x and y of one point after the other.

    The loss is the squared distance summed over the points. The score is minus the NME: the mean distance of the points
    over that between the eyes (X. Guo et al., "PFLD: A Practical Facial Landmark Detector", arXiv:1902.10859).

    With `angles`, targets are (N, 2 P + 3), the head's three angles behind the points. Outputs that have them too,
    as `hwnas.nn.families.WithAngleHead` gives them in training, have the paper's loss without its weights of rare
    attributes (equation 1): the squared distance times the sum of 1 - cos(error) over the angles. Other outputs, those
    of a supernet and in evaluation, have the squared distance alone.

    Args:
        eyes: the two points whose distance is the scale; the outer corners of 106 points if not given.
        angles: whether targets have three angles, in radians.
    """
    num_angles = 3 if angles else 0

    def errors(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Those of the points, (N, 2 P), and of the angles, (N, 3), or (N, 0) where the outputs have none."""
        wanted, given = targets.shape[1] - num_angles, outputs.shape[1]
        if given not in (wanted, wanted + num_angles):
            more = f", or {wanted + num_angles} with the angles" if angles else ""
            raise ValueError(f"{wanted / 2:g} points want {wanted} outputs{more}; got {given}")
        differences = outputs - targets[:, :given]
        return differences[:, :wanted], differences[:, wanted:]

    def losses(outputs: Tensor, targets: Tensor) -> Tensor:
        points, rotations = errors(outputs, targets)
        distances = points.square().sum(1)
        return distances * (1 - rotations.cos()).sum(1) if rotations.shape[1] else distances

    def minus_nme(outputs: Tensor, targets: Tensor) -> Tensor:
        points, _ = errors(outputs, targets)
        wanted = targets[:, : points.shape[1]].reshape(len(targets), -1, 2)
        scale = (wanted[:, eyes[0]] - wanted[:, eyes[1]]).norm(dim=1)
        nme: Tensor = points.reshape(wanted.shape).norm(dim=2).mean(1) / scale
        return -nme

    return Task(name="landmarks", loss=losses, score=minus_nme, score_name="minus NME", num_auxiliary=num_angles)


def _cross_entropies(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(outputs, targets, reduction="none")


def _is_right(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.argmax(1) == targets


def _squared_errors(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets.reshape(outputs.shape)).square().flatten(1).mean(1)


def _minus_squared_errors(outputs: Tensor, targets: Tensor) -> Tensor:
    return -_squared_errors(outputs, targets)


CLASSIFICATION = Task(
    name="classification", loss=_cross_entropies, score=_is_right, score_name="accuracy", has_classes=True
)
"""Cross-entropy in nats, and whether the largest output is the right class."""

REGRESSION = Task(
    name="regression", loss=_squared_errors, score=_minus_squared_errors, score_name="minus mean squared error"
)
"""The squared error, mean over the outputs; targets of the outputs' shape, or (N,) for a single output."""
