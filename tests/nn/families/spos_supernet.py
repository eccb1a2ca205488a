"""The supernet of SPOS with the modules' names of its authors' code, written without hwnas.

Source of names and structure: src/Supernet/network.py and blocks.py of https://github.com/megvii-model/SinglePathOneShot
(Guo et al., https://arxiv.org/abs/1904.00420), whose file `checkpoint-150000.pth.tar` is
`{"state_dict": {"module.first_conv.0.weight": ...}}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn


def layer(num_in: int, num_out: int, kernel: int, stride: int, *, depthwise: bool) -> list[nn.Module]:
    groups = num_in if depthwise else 1
    convolution = nn.Conv2d(num_in, num_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(num_out, affine=False)
    return [convolution, norm] if depthwise else [convolution, norm, nn.ReLU()]


class Candidate(nn.Module):
    """Candidates 0, 1, 2 have kernels of 3, 5 and 7; candidate 3 is the Xception-like one."""

    def __init__(self, candidate: int, num_in: int, num_out: int, stride: int) -> None:
        super().__init__()
        inner, kept = num_out // 2, num_in if stride == 2 else num_in // 2
        added, kernel = num_out - kept, (3, 5, 7, 3)[candidate]
        if candidate == 3:
            widths = [(kept, inner, stride), (inner, inner, 1), (inner, added, 1)]
            main = []
            for width, following, step in widths:
                main += layer(width, width, 3, step, depthwise=True) + layer(width, following, 1, 1, depthwise=False)
        else:
            main = layer(kept, inner, 1, 1, depthwise=False) + layer(inner, inner, kernel, stride, depthwise=True)
            main += layer(inner, added, 1, 1, depthwise=False)
        self.branch_main = nn.Sequential(*main)
        self.stride = stride
        if stride == 2:
            projection = layer(kept, kept, kernel, 2, depthwise=True) + layer(kept, kept, 1, 1, depthwise=False)
            self.branch_proj = nn.Sequential(*projection)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            return torch.cat((self.branch_proj(x), self.branch_main(x)), 1)
        kept, changed = x.unflatten(1, (-1, 2)).unbind(2)
        return torch.cat((kept, self.branch_main(changed)), 1)


class SposSupernet(nn.Module):
    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem: int = 16,
        stem_stride: int = 2,
        widths: Sequence[int] = (64, 160, 320, 640),
        depths: Sequence[int] = (4, 4, 8, 4),
        last: int = 1024,
    ) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(*layer(in_channels, stem, 3, stem_stride, depthwise=False))
        self.features = nn.ModuleList()
        channels = stem
        for width, depth in zip(widths, depths, strict=True):
            for block in range(depth):
                stride = 2 if block == 0 else 1
                self.features.append(nn.ModuleList(Candidate(c, channels, width, stride) for c in range(4)))
                channels = width
        self.conv_last = nn.Sequential(*layer(channels, last, 1, 1, depthwise=False))
        self.classifier = nn.Sequential(nn.Linear(last, num_classes, bias=False))

    def forward(self, x: Tensor, candidates: Sequence[int]) -> Tensor:
        x = self.first_conv(x)
        for block, candidate in zip(self.features, candidates, strict=True):
            x = block[candidate](x)  # type: ignore[index]
        logits: Tensor = self.classifier(self.conv_last(x).mean((2, 3)))
        return logits


def tiny_supernet() -> SposSupernet:
    """Of the size of the space `shufflenet_v2_8`, with statistics in its batch norms, in the mode of evaluation."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = SposSupernet(
            in_channels=1, num_classes=10, stem=8, stem_stride=1, widths=(16, 32), depths=(2, 2), last=64
        )
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2.0)
    return network.eval()


def save_as_published(network: nn.Module, path: Path) -> Path:
    """Write the file as the authors' program does: an entry of a module in DataParallel, in PyTorch's old format."""
    state = nn.DataParallel(network).state_dict()
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=False)
    return path
