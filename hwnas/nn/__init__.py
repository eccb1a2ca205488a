"""Modules that carry choices, and the supernet made of them.

LayerChoice, InputChoice, Repeat      what a user puts into an ordinary PyTorch model
ModelSpace                            the model as a space: forward with a selection, view, freeze
Paths                                 several options of a choice at once, weighted
ChoiceModule, Slot                    what every module with choices is: for those who write one
View                                  copies of the module tree with the choices replaced
"""

from hwnas.nn.argument import Elastic, Slot
from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.input_choice import InputChoice
from hwnas.nn.layer_choice import LayerChoice
from hwnas.nn.model_space import Inputs, ModelSpace, call
from hwnas.nn.paths import Paths
from hwnas.nn.repeat import Repeat
from hwnas.nn.view import Selection, SelectionView, Structure, View

__all__ = [
    "ChoiceModule",
    "Elastic",
    "InputChoice",
    "Inputs",
    "LayerChoice",
    "ModelSpace",
    "Paths",
    "Repeat",
    "Selection",
    "SelectionView",
    "Slot",
    "Structure",
    "View",
    "call",
]
