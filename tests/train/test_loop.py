"""The loop: steps from (seed, n) alone, resumed runs equal, what is not used does not move, divergence."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from hwnas.errors import ConfigError, DataError, TrainingError
from hwnas.train import Recipe, fine_tune, latest_checkpoint, read_checkpoint, train_supernet
from tests.train.examples import ends, make_space, make_splits, same, weights

RECIPE = Recipe(epochs=3, batch_size=16)  # 9 steps an epoch


def trained(recipe=RECIPE, *, stops=(None,), splits=None, elastic=False, **options):
    """A space after training, stopped and resumed in fresh objects."""
    for stop in stops:
        space = make_space(elastic=elastic)
        given = ends(space) if recipe.scheme == "sandwich" else {}
        result = train_supernet(space, splits or make_splits(), recipe, max_steps=stop, **given, **options)
    return space, result


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        Recipe(epochs=2, batch_size=16, scheme="sandwich", schedule="linear", warmup_epochs=1),
        Recipe(epochs=2, batch_size=16, optimizer="adamw", learning_rate=0.01, channels_last=False),
        Recipe(epochs=2, batch_size=16, precision="bfloat16"),
    ],
    ids=["single_path", "sandwich", "adamw", "bfloat16"],
)
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path, recipe):
    whole, result = trained(recipe, seed=1)
    parts, resumed = trained(recipe, seed=1, stops=(4, 9, 10, None), directory=tmp_path)
    assert same(weights(whole), weights(parts))
    assert (resumed.resumed_from, resumed.step, resumed.loss) == (10, result.num_steps, result.loss)


def test_resumed_with_an_elastic_block(tmp_path):
    whole, _ = trained(seed=1, elastic=True)
    parts, _ = trained(seed=1, elastic=True, stops=(4, None), directory=tmp_path)
    assert same(weights(whole), weights(parts))


def test_the_seed_decides_and_global_generators_do_not():
    a, _ = trained(seed=1)
    b, _ = trained(seed=1)
    c, _ = trained(seed=2)
    assert same(weights(a), weights(b))
    assert not same(weights(a), weights(c))
    before = torch.random.get_rng_state()
    train_supernet(a, make_splits(), RECIPE, seed=1, max_steps=2)
    assert torch.equal(before, torch.random.get_rng_state())


def test_finished_run_is_not_done_again(tmp_path):
    first, _ = trained(seed=1, directory=tmp_path)
    steps = []
    again, result = trained(seed=1, directory=tmp_path, progress=steps.append)
    assert steps == []
    assert result.resumed_from == result.step == result.num_steps == 27
    assert same(weights(first), weights(again))


def test_checkpoint_at_every_epoch_and_the_last_two_kept(tmp_path):
    trained(seed=1, directory=tmp_path, stops=(20,))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000000018.safetensors", "step-000000020.safetensors"]
    trained(seed=1, directory=tmp_path / "often", stops=(5,), checkpoint_seconds=0.0)
    assert latest_checkpoint(tmp_path / "often").step == 5
    assert (tmp_path / "often" / "step-000000004.safetensors").exists()


def test_progress_and_loss():
    seen = []
    _, result = trained(seed=1, progress=seen.append)
    assert [p.step for p in seen] == list(range(1, 28))
    assert [p.epoch for p in seen] == [0] * 9 + [1] * 9 + [2] * 9
    assert result.loss == pytest.approx(sum(p.loss for p in seen[18:]) / 9)
    assert seen[0].learning_rate == RECIPE.learning_rate


def test_it_learns():
    _, result = trained(Recipe(epochs=20, batch_size=16, label_smoothing=0.0), seed=0)
    assert result.loss < 0.7 * math.log(3)


@pytest.mark.parametrize("elastic", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_what_a_step_does_not_use_does_not_move(tmp_path, elastic, optimizer):
    """The trap: weight decay or momentum moving unsampled weights. Slices of elastic layers included."""
    recipe = Recipe(epochs=3, batch_size=16, weight_decay=0.5, optimizer=optimizer, schedule="constant")
    train = {"seed": 1, "elastic": elastic, "directory": tmp_path}
    trained(recipe, stops=(9,), **train)
    for step in range(10, 16):
        before = latest_checkpoint(tmp_path).tensors
        space, _ = trained(recipe, stops=(step,), **train)
        after = latest_checkpoint(tmp_path).tensors
        architecture = space.space.sample(np.random.default_rng([1, step - 1]))
        used = used_entries(space, architecture)
        moved = 0
        for name, mask in used.items():
            for key in [k for k in after if k == f"model.{name}" or k.startswith(f"optimizer.{name}/")]:
                if after[key].shape == mask.shape and key in before:
                    assert torch.equal(before[key][~mask], after[key][~mask]), key
                    moved += int((before[key] != after[key])[mask].sum())
        assert moved > 50
        assert any(not bool(mask.all()) for mask in used.values())


def used_entries(space, architecture):
    """Which entries of every parameter an architecture uses: those that its view has slices of."""
    masks = {}
    view = space.view(architecture)
    memory = {p.untyped_storage().data_ptr(): (name, p) for name, p in space.named_parameters()}
    for name, parameter in space.named_parameters():
        masks[name] = torch.zeros_like(parameter, dtype=torch.bool)
    for module in view.modules():
        for key in module._parameters:
            tensor = getattr(module, key)
            if tensor is not None:
                name, parameter = memory[tensor.untyped_storage().data_ptr()]
                flat = torch.zeros_like(parameter, dtype=torch.bool)
                flat.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).fill_(True)
                masks[name] |= flat
    return masks


class Exploding(nn.Module):
    """Gives NaN from a certain call on."""

    def __init__(self, after):
        super().__init__()
        self.linear = nn.Linear(36, 3)
        self.calls, self.after = 0, after

    def forward(self, x):
        self.calls += 1
        return self.linear(x.flatten(1)) * (math.nan if self.calls > self.after else 1.0)


def test_nan_loss_keeps_the_last_good_checkpoint(tmp_path):
    with pytest.raises(TrainingError, match=r"the loss is nan at step 12\. .*is .*step-000000009.safetensors\. Lower"):
        fine_tune(Exploding(12), make_splits(), RECIPE, seed=0, directory=tmp_path)
    kept = latest_checkpoint(tmp_path)
    assert kept.step == 9
    assert all(bool(tensor.isfinite().all()) for tensor in kept.tensors.values())


def test_nan_loss_without_a_directory():
    with pytest.raises(TrainingError, match="No checkpoint was written before"):
        fine_tune(Exploding(3), make_splits(), RECIPE, seed=0)


def test_infinite_weights_are_not_saved(tmp_path):
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    module.register_buffer("broken", torch.tensor([math.inf]))
    with pytest.raises(TrainingError, match="a weight is not finite at step 8"):
        fine_tune(module, make_splits(), RECIPE, seed=0, directory=tmp_path)
    assert latest_checkpoint(tmp_path) is None


def test_too_few_outputs():
    with pytest.raises(DataError, match=r"one number a class, 3 an image; its output has the shape \(16, 2\)"):
        train_supernet(make_space(outputs=2), make_splits(), RECIPE, seed=0)


def test_batch_larger_than_the_data():
    with pytest.raises(ConfigError, match="`batch_size` must be at most the 144 training images; got 145"):
        train_supernet(make_space(), make_splits(), Recipe(batch_size=145), seed=0)


def test_max_steps_of_none():
    with pytest.raises(ConfigError, match="`max_steps` must be at least 1; got 0"):
        train_supernet(make_space(), make_splits(), RECIPE, seed=0, max_steps=0)


def test_mode_is_put_back():
    space = make_space().eval()
    train_supernet(space, make_splits(), RECIPE, seed=0, max_steps=1)
    assert not any(module.training for module in space.modules())


def test_the_record_of_a_run(tmp_path):
    space, _ = trained(seed=1, directory=tmp_path, stops=(9,))
    checkpoint = read_checkpoint(tmp_path / "step-000000009.safetensors")
    assert checkpoint.run.subject == space.space.uid
    assert checkpoint.run.splits == make_splits().hashes
    assert Recipe(**checkpoint.run.recipe) == RECIPE
    assert (checkpoint.run.seed, checkpoint.step, checkpoint.num_steps, checkpoint.finished) == (1, 9, 27, False)
