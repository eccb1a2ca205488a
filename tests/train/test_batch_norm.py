"""Re-estimated batch norm against statistics taken directly from what the layers see."""

import copy

import pytest
import torch
from torch import nn

from hwnas.errors import DataError
from hwnas.train import batch_statistics, reestimate_batch_norm
from tests.train.examples import make_space, weights


class Recorder(nn.BatchNorm2d):
    """A batch norm that keeps what it is given, to compute its statistics from."""

    def forward(self, x):
        self.seen = [*getattr(self, "seen", []), x.detach().clone()]
        return super().forward(x)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), Recorder(3), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(3, 2, 1), Recorder(2), nn.Flatten()
    )


def batches(sizes, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [(3 * torch.randn(size, 1, 6, 6, generator=generator) + 5,) for size in sizes]


def test_exact_over_batches_of_different_sizes():
    """Expected: mean and unbiased variance over all values that came in, computed at once in double precision."""
    module = network()
    for layer in (module[1], module[5]):
        layer.running_mean.fill_(77.0)
        layer.running_var.fill_(88.0)
    reestimate_batch_norm(module, batches([8, 3, 16, 1]))
    for layer in (module[1], module[5]):
        seen = torch.cat(layer.seen).double().transpose(0, 1).flatten(1)
        torch.testing.assert_close(layer.running_mean.double(), seen.mean(1), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(layer.running_var.double(), seen.var(1), rtol=1e-6, atol=1e-6)


def test_the_first_layer_does_not_depend_on_how_images_are_batched():
    one, other = network(), network()
    (images,) = batches([24])[0]
    reestimate_batch_norm(one, [(images,)])
    reestimate_batch_norm(other, [(images[:5],), (images[5:],)])
    torch.testing.assert_close(one[1].running_mean, other[1].running_mean)
    torch.testing.assert_close(one[1].running_var, other[1].running_var)


def test_one_batch_makes_evaluation_equal_to_batch_statistics():
    module = network()
    (x,) = batches([32])[0]
    with batch_statistics(module), torch.no_grad():
        expected = module(x)
    reestimate_batch_norm(module, [(x,)])
    for layer in (module[1], module[5]):  # evaluation divides by the unbiased variance, training by the biased
        num = 32 * layer.seen[0].shape[2] * layer.seen[0].shape[3]
        layer.running_var.mul_((num - 1) / num)
    torch.testing.assert_close(module.eval()(x), expected, rtol=1e-4, atol=1e-5)


def test_nothing_else_changes():
    module = network()
    module[5].eval()
    module[1].momentum = None
    before = weights(module)
    modes = [m.training for m in module.modules()]
    reestimate_batch_norm(module, batches([4]))
    after = weights(module)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"1.running_mean", "1.running_var", "5.running_mean", "5.running_var"}
    assert [m.training for m in module.modules()] == modes
    assert module[1].track_running_stats
    assert module[1].momentum is None
    assert not module[1]._forward_pre_hooks


def test_a_layer_that_runs_twice_pools_both():
    layer = Recorder(1)
    module = nn.Sequential(layer, nn.Conv2d(1, 1, 1), layer)
    reestimate_batch_norm(module, batches([8, 8]))
    assert len(layer.seen) == 4
    torch.testing.assert_close(layer.running_mean, torch.cat(layer.seen).mean().reshape(1), rtol=1e-4, atol=1e-5)


def test_batch_statistics_leave_buffers_alone_also_after_an_error():
    module = network()
    before = weights(module)
    with batch_statistics(module), torch.no_grad():
        a, b = module(batches([8])[0][0]), module(batches([8])[0][0])
    assert torch.equal(a, b)  # no dropout
    with pytest.raises(RuntimeError, match="stop"), batch_statistics(module):
        raise RuntimeError("stop")
    assert all(m.training for m in module.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(module).items())


def test_the_traps_of_a_view():
    """A view shares the supernet's buffers: re-estimating a frozen copy leaves them alone."""
    space = make_space()
    architecture = space.space.validate({"first": "k3", "depth": 1, "block0": 0})
    before = weights(space)
    reestimate_batch_norm(space.freeze(architecture), [(torch.randn(8, 1, 6, 6),)])
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(space).items())


def test_no_batches():
    with pytest.raises(DataError, match="Batch norm needs at least one batch"):
        reestimate_batch_norm(network(), [])


def test_one_value_a_channel():
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4))
    before = copy.deepcopy(module)
    with pytest.raises(DataError, match=r"1 got one value a channel, which has no variance; give it larger batches"):
        reestimate_batch_norm(module, [(torch.randn(1, 4),)])
    assert torch.equal(module[1].running_mean, before[1].running_mean)


def test_without_batch_norm_nothing_happens():
    reestimate_batch_norm(nn.Flatten(), batches([2]))
