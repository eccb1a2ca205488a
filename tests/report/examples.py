"""A finished search to report, with names that try to break the page."""

import numpy as np

from hwnas.measurement import Fingerprint
from hwnas.report import BlockTime, BudgetRow, ExpectedCost, FrontPoint, Network, ReportData, SplitRow
from hwnas.solve import Certificate
from hwnas.strategy import EstimateQuality

HOSTILE = "</script><script>window.hurt=1</script><img src=x onerror=alert(1)>&\"'"


def finished_search(*, name: str = "chosen") -> ReportData:
    rng = np.random.default_rng(0)
    latencies = np.sort(rng.uniform(2.0, 9.0, 60))
    accuracies = 0.86 + 0.05 * np.log(latencies) / np.log(9) + rng.normal(0, 0.006, 60)
    evaluated = tuple(
        Network(name=f"network {index}", cost=float(latency), score=float(accuracy), standard_error=0.004)
        for index, (latency, accuracy) in enumerate(zip(latencies, accuracies, strict=True))
    )
    front = tuple(
        FrontPoint(cost=float(latency), utility=float(-0.4 + 0.1 * np.log(latency)))
        for latency in np.linspace(2, 9, 40)
    )
    calibration = tuple(
        Network(name=f"whole {i}", cost=float(x), score=0.9, measured_ms=float(x * rng.normal(1.0, 0.02)))
        for i, x in enumerate(np.linspace(2.2, 8.8, 16))
    )
    options = ("ds_r1_k3_s1_e1_c16_nre", "ir_k3_e4_se0.25", "ir_k5_e6_c40", "skip", name)
    blocks = tuple(
        BlockTime(
            stage=f"stage {index // 4 + 1}",
            name=f"blocks.{index // 4}.{index % 4}",
            option=options[index % len(options)],
            latency_ms=float(rng.uniform(0.05, 0.6)),
        )
        for index in range(18)
    )
    return ReportData(
        title=f"mobilenet_v3_28 within 5 ms {name}",
        space="mobilenet_v3_28",
        num_architectures=5_916_343_431_431_431_431_431,
        chosen=Network(name=name, cost=4.81, score=0.912, standard_error=0.004, measured_ms=4.87),
        budgets=(
            BudgetRow(profiler="latency", unit="ms", limit=5.0, predicted=4.81, measured=4.87),
            BudgetRow(profiler="params", unit="params", limit=4e6, predicted=3_912_345, measured=3_912_345),
            BudgetRow(profiler="memory", unit="bytes", limit=8e6, predicted=6.1e6),
        ),
        blocks=blocks,
        front=front,
        evaluated=evaluated,
        rivals=(
            Network(name="largest MACs", cost=4.95, score=0.897, standard_error=0.004),
            Network(name=f"best of 32 random {name}", cost=4.4, score=0.901, standard_error=0.004),
        ),
        calibration=calibration,
        expected_costs=(
            ExpectedCost(profiler="latency", unit="ms", by_epoch=(6.1, 5.6, 5.0, 4.7)),
            ExpectedCost(profiler=f"my {name}", unit="", by_epoch=(3.0, 2.9, 2.7, 2.7)),
        ),
        entropy_by_epoch=(1.0, 0.83, 0.41, 0.2),
        certificate=Certificate.optimal(-0.4 + 0.1 * float(np.log(4.8))),
        estimate=EstimateQuality(
            kendall_tau=0.71,
            kendall_tau_standard_error=0.06,
            kendall_tau_of_priors={"macs": 0.52},
            num_held_out=64,
            num_samples=400,
            noise=0.01,
            standard_error=0.004,
            uses_pairs=False,
            probability_best=0.83,
        ),
        test_score=0.923,
        test_standard_error=0.003,
        noise_floor=0.011,
        fingerprint=Fingerprint(
            device="laptop",
            processor=f"Some CPU {name}",
            processor_flags="avx2",
            runtime="onnxruntime",
            runtime_version="1.31.1",
            precision="float32",
            threads=1,
            batch_size=1,
            layout="NCHW",
        ),
        splits=(SplitRow(name="train", num_examples=48_000, sha256="0" * 64),),
        seed=3,
        versions={"hwnas": "0.1.0", "torch": "2.15.0"},
        seconds={"measure": 41.2, "train": 3900.0, "search": 0.31},
    )
