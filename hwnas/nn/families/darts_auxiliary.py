"""The auxiliary head of DARTS's final training.

Hanxiao Liu, Karen Simonyan, Yiming Yang: "DARTS: Differentiable Architecture Search", ICLR 2019,
https://arxiv.org/abs/1806.09055, section A.1; the head is that of Christian Szegedy et al.: "Going Deeper with
Convolutions", CVPR 2015, https://arxiv.org/abs/1409.4842, in the form of NASNet.

It is not part of the space, so that no cost counts it and nothing of it is exported: it is put onto a frozen network
for as long as that trains.

What differs. The pooling takes two windows a side, the first and the last 5/8 of the features, rounded down: on the
paper's 8x8 features they are the published 5x5 with stride 3, and other resolutions have a head as well.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from hwnas.errors import SpaceError
from hwnas.nn.families.darts import DartsNetwork

__all__ = ["WithAuxiliaryHead"]


class WithAuxiliaryHead(nn.Module):
    """A network with a second classifier, on the features at 2/3 of its depth.

    In training mode it gives a pair, (logits, auxiliary logits); the paper adds 0.4 times the loss of the second to
    that of the first. In evaluation mode it gives logits. Afterwards `network` is the trained network.
    """

    def __init__(self, network: nn.Module) -> None:
        """See the class.

        Args:
            network: frozen from a space of `darts`; it is trained in place.

        Raises:
            SpaceError: a network of another space.
        """
        super().__init__()
        if not isinstance(network, DartsNetwork):
            raise SpaceError(
                f"WithAuxiliaryHead takes a network that ModelSpace.freeze gave, of the family darts; got "
                f"{type(network).__name__}."
            )
        self.network = network
        self.narrow = nn.Conv2d(network.auxiliary_channels, 128, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(128)
        self.gather = nn.Conv2d(128, 768, 2, bias=False)
        self.norm2 = nn.BatchNorm2d(768)
        self.classifier = nn.Linear(768, network.classifier.out_features)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits, shape (batch, num_classes); in training mode with those of the auxiliary head."""
        last, middle = self.network.features(x)
        logits = self.network.classify(last)
        if not self.training:
            return logits
        side = middle.shape[-1]
        window = side * 5 // 8
        y = functional.avg_pool2d(functional.relu(middle), window, stride=side - window)  # 2x2 windows
        y = functional.relu(self.norm1(self.narrow(y)))
        y = functional.relu(self.norm2(self.gather(y)))
        return logits, self.classifier(y.flatten(1))
