"""Every one-shot strategy keeps the contract; the options make its architecture learn from the first step on."""

import pytest

from hwnas.strategy import DARTS, ENAS, FBNet, HardCoReNAS, ProxylessNAS
from hwnas.testing.one_shot_contract import MakeStrategy, OneShotContract


class TestDARTS(OneShotContract):
    @pytest.fixture(params=[False, True], ids=["first order", "second order"])
    def make_strategy(self, request) -> MakeStrategy:
        return lambda space, budgets, seed: DARTS(space, budgets, unrolled=request.param, seed=seed)


class TestENAS(OneShotContract):
    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        return lambda space, budgets, seed: ENAS(
            space,
            budgets,
            lstm_size=8,
            num_samples=3,
            num_derived_samples=3,
            steps_per_controller_step=1,
            num_warmup_epochs=0.0,
            scoring_share=0.3,
            seed=seed,
        )


class TestFBNet(OneShotContract):
    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        return lambda space, budgets, seed: FBNet(space, budgets, start_epoch=0.0, seed=seed)


class TestHardCoReNAS(OneShotContract):
    @pytest.fixture(params=[False, True], ids=["weights fixed", "weights trained"])
    def make_strategy(self, request) -> MakeStrategy:
        return lambda space, budgets, seed: HardCoReNAS(space, budgets, train_weights=request.param, seed=seed)


class TestProxylessNAS(OneShotContract):
    @pytest.fixture(params=["gradient", "reinforce"])
    def make_strategy(self, request) -> MakeStrategy:
        return lambda space, budgets, seed: ProxylessNAS(
            space, budgets, method=request.param, num_warmup_epochs=0.0, num_samples=2, seed=seed
        )
