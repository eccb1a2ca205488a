"""hwnas: hardware-aware neural architecture search under hard budgets.

You bring a PyTorch model with choices in it, data, a device and a budget; `search` gives back a trained network that
keeps the budget as measured on that device. The map of the packages is in docs/architecture.md; the names below are
the public ones, each loaded when it is first asked for (PEP 562), so that `import hwnas` is cheap and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwnas.cost import (
        Budget as Budget,
        CostTable as CostTable,
        LatencyTable as LatencyTable,
        MaxTable as MaxTable,
        parse_budget as parse_budget,
    )
    from hwnas.data import Splits as Splits, Task as Task, load_data as load_data, split as split
    from hwnas.device import Runtime as Runtime, connect as connect, measure as measure, verify as verify
    from hwnas.errors import HwnasError as HwnasError, InfeasibleError as InfeasibleError
    from hwnas.experiment import (
        Experiment as Experiment,
        InlineExecutor as InlineExecutor,
        Metric as Metric,
        ProcessPool as ProcessPool,
        RayExecutor as RayExecutor,
        export_optuna as export_optuna,
        import_optuna as import_optuna,
        retrain as retrain,
        search as search,
        search_each as search_each,
    )
    from hwnas.export import export_onnx as export_onnx
    from hwnas.measurement import Fingerprint as Fingerprint, Measurement as Measurement
    from hwnas.nn import (
        Cell as Cell,
        ChoiceModule as ChoiceModule,
        ElasticAttention as ElasticAttention,
        ElasticBatchNorm1d as ElasticBatchNorm1d,
        ElasticBatchNorm2d as ElasticBatchNorm2d,
        ElasticBatchNorm3d as ElasticBatchNorm3d,
        ElasticConv1d as ElasticConv1d,
        ElasticConv2d as ElasticConv2d,
        ElasticConv3d as ElasticConv3d,
        ElasticInvertedResidual as ElasticInvertedResidual,
        ElasticLayerNorm as ElasticLayerNorm,
        ElasticLinear as ElasticLinear,
        InputChoice as InputChoice,
        LayerChoice as LayerChoice,
        ModelSpace as ModelSpace,
        Node as Node,
        Paths as Paths,
        Repeat as Repeat,
        replace_input_choice as replace_input_choice,
        replace_layer_choice as replace_layer_choice,
    )
    from hwnas.nn.families import family as family, published_network as published_network
    from hwnas.profiler import (
        FlopsProfiler as FlopsProfiler,
        LatencyProfiler as LatencyProfiler,
        NumParamsProfiler as NumParamsProfiler,
        PeakMemoryProfiler as PeakMemoryProfiler,
        SizeProfiler as SizeProfiler,
    )
    from hwnas.solve import Certificate as Certificate, maximise as maximise, pareto_front as pareto_front
    from hwnas.space import (
        Architecture as Architecture,
        Choice as Choice,
        Distribution as Distribution,
        MappedChoice as MappedChoice,
        Option as Option,
        Requirement as Requirement,
        Space as Space,
    )
    from hwnas.store import MeasurementStore as MeasurementStore, TrialStore as TrialStore
    from hwnas.strategy import (
        DARTS as DARTS,
        ENAS as ENAS,
        NSGA2 as NSGA2,
        SPOS as SPOS,
        TPE as TPE,
        Certified as Certified,
        Chain as Chain,
        Deduplication as Deduplication,
        ExpectationProfilerPenalty as ExpectationProfilerPenalty,
        FailureHandler as FailureHandler,
        FBNet as FBNet,
        Filter as Filter,
        GridSearch as GridSearch,
        HardCoReNAS as HardCoReNAS,
        KnownTrials as KnownTrials,
        LatencyFilter as LatencyFilter,
        LocalSearch as LocalSearch,
        MedianStopping as MedianStopping,
        MultipleEvaluation as MultipleEvaluation,
        OptunaStrategy as OptunaStrategy,
        PolicyBasedRL as PolicyBasedRL,
        PredictorGuided as PredictorGuided,
        ProxylessNAS as ProxylessNAS,
        Random as Random,
        RangeProfilerFilter as RangeProfilerFilter,
        RankByCost as RankByCost,
        RegularizedEvolution as RegularizedEvolution,
        SampleProfilerPenalty as SampleProfilerPenalty,
        SuccessiveHalving as SuccessiveHalving,
        TrialLimit as TrialLimit,
    )
    from hwnas.train import (
        FinalRecipe as FinalRecipe,
        Recipe as Recipe,
        SupernetEvaluator as SupernetEvaluator,
        TrainEvaluator as TrainEvaluator,
        fine_tune as fine_tune,
        load_weights as load_weights,
        read_weights as read_weights,
        train_supernet as train_supernet,
    )
    from hwnas.trial import FunctionEvaluator as FunctionEvaluator, TableEvaluator as TableEvaluator

__version__ = "0.1.0"

_NAMES_OF = {
    "hwnas.cost": "Budget CostTable LatencyTable MaxTable parse_budget",
    "hwnas.data": "Splits Task load_data split",
    "hwnas.device": "Runtime connect measure verify",
    "hwnas.errors": "HwnasError InfeasibleError",
    "hwnas.experiment": (
        "Experiment InlineExecutor Metric ProcessPool RayExecutor export_optuna import_optuna retrain search "
        "search_each"
    ),
    "hwnas.export": "export_onnx",
    "hwnas.measurement": "Fingerprint Measurement",
    "hwnas.nn": (
        "Cell ChoiceModule ElasticAttention ElasticBatchNorm1d ElasticBatchNorm2d ElasticBatchNorm3d "
        "ElasticConv1d ElasticConv2d ElasticConv3d ElasticInvertedResidual ElasticLayerNorm ElasticLinear "
        "InputChoice LayerChoice ModelSpace Node Paths Repeat replace_input_choice replace_layer_choice"
    ),
    "hwnas.nn.families": "family published_network",
    "hwnas.profiler": "FlopsProfiler LatencyProfiler NumParamsProfiler PeakMemoryProfiler SizeProfiler",
    "hwnas.solve": "Certificate maximise pareto_front",
    "hwnas.space": "Architecture Choice Distribution MappedChoice Option Requirement Space",
    "hwnas.store": "MeasurementStore TrialStore",
    "hwnas.strategy": (
        "Certified Chain DARTS Deduplication ENAS ExpectationProfilerPenalty FBNet FailureHandler Filter "
        "GridSearch HardCoReNAS KnownTrials LatencyFilter LocalSearch MedianStopping MultipleEvaluation NSGA2 "
        "OptunaStrategy PolicyBasedRL PredictorGuided ProxylessNAS Random RangeProfilerFilter RankByCost "
        "RegularizedEvolution SPOS SampleProfilerPenalty SuccessiveHalving TPE TrialLimit"
    ),
    "hwnas.train": (
        "FinalRecipe Recipe SupernetEvaluator TrainEvaluator fine_tune load_weights read_weights train_supernet"
    ),
    "hwnas.trial": "FunctionEvaluator TableEvaluator",
}
_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'hwnas' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
