"""Modules that carry choices, and the supernet made of them.

LayerChoice, InputChoice, Repeat          what a user puts into an ordinary PyTorch model
Cell, Node, LooseEnds                     small graphs in it: nodes that choose their inputs and operations
ElasticConv2d, ElasticLinear, ...         layers whose sizes may vary, with one set of weights
ModelSpace                                the model as a space: forward with a selection, view, freeze
Paths                                     several options of a choice at once, weighted
ChoiceModule, Slot, Argument              what every module with choices is: for those who write one
replace_layer_choice, ...                 the user's own modules in the place of those with choices
View, Structure                           copies of the module tree with the choices replaced

How a network is made of it: derivation (the space of a module tree), view, freezing; mixture (weighted sums), slicing
and elastic_layer (parts of larger layers).

How costs come from it, the traced pass: tracing (the forward, once) in a supernet_pass, which runs modules without
choices as blocks (block_run) and forks by cases where shapes differ (variants); recorder, over shadow copies, sees the
operators, operators and free_operators say what each costs, and loose gathers those outside of blocks; traced makes
records of it all.
"""

from hwnas.nn.argument import Argument, Elastic, Slot
from hwnas.nn.blocks import TracedBlock
from hwnas.nn.cell import Cell
from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.counting import Counts, count
from hwnas.nn.elastic_attention import ElasticAttention
from hwnas.nn.elastic_conv import ElasticConv1d, ElasticConv2d, ElasticConv3d
from hwnas.nn.elastic_inverted_residual import ElasticInvertedResidual
from hwnas.nn.elastic_linear import ElasticLinear
from hwnas.nn.elastic_norm import ElasticBatchNorm1d, ElasticBatchNorm2d, ElasticBatchNorm3d, ElasticLayerNorm
from hwnas.nn.input_choice import InputChoice
from hwnas.nn.layer_choice import LayerChoice
from hwnas.nn.loose_ends import LooseEnds
from hwnas.nn.model_space import Inputs, ModelSpace, call
from hwnas.nn.node import Node
from hwnas.nn.paths import Paths
from hwnas.nn.repeat import Repeat
from hwnas.nn.replacing import replace_input_choice, replace_layer_choice
from hwnas.nn.view import Selection, SelectionView, Structure, View

__all__ = [
    "Argument",
    "Cell",
    "ChoiceModule",
    "Counts",
    "Elastic",
    "ElasticAttention",
    "ElasticBatchNorm1d",
    "ElasticBatchNorm2d",
    "ElasticBatchNorm3d",
    "ElasticConv1d",
    "ElasticConv2d",
    "ElasticConv3d",
    "ElasticInvertedResidual",
    "ElasticLayerNorm",
    "ElasticLinear",
    "InputChoice",
    "Inputs",
    "LayerChoice",
    "LooseEnds",
    "ModelSpace",
    "Node",
    "Paths",
    "Repeat",
    "Selection",
    "SelectionView",
    "Slot",
    "Structure",
    "TracedBlock",
    "View",
    "call",
    "count",
    "replace_input_choice",
    "replace_layer_choice",
]
