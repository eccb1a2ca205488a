"""One of several layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import nn

from hwnas.errors import SpaceError
from hwnas.nn.argument import Slot
from hwnas.nn.choice_module import ChoiceModule
from hwnas.space import Option

__all__ = ["LayerChoice"]


class LayerChoice(ChoiceModule):
    """One of several candidate modules, which must take the same inputs.

    Candidates may have choices of their own, which matter only under their candidate. A frozen network has the
    candidate in the place of the LayerChoice.
    """

    def __init__(self, candidates: Sequence[nn.Module] | Mapping[str, nn.Module], *, label: str | None = None) -> None:
        """See the class.

        Args:
            candidates: a sequence (the options are 0 ... n-1) or a mapping (the options are its keys).
            label: the name of the choice; None for the module's path. Choices with one label are one choice.

        Raises:
            SpaceError: no candidates, one that is not a module, a key that cannot name a child module.
        """
        super().__init__()
        if isinstance(candidates, nn.ModuleDict):
            candidates = dict(candidates.items())
        if not isinstance(candidates, Mapping | Iterable):
            raise SpaceError(
                f"LayerChoice takes a list or a mapping of candidates; got {type(candidates).__name__}. "
                "Put the candidates in a list."
            )
        named: dict[Option, nn.Module] = dict(
            candidates.items() if isinstance(candidates, Mapping) else enumerate(candidates)
        )
        if not named:
            raise SpaceError("LayerChoice needs at least one candidate; got none.")
        for option, candidate in named.items():
            if not isinstance(candidate, nn.Module):
                raise SpaceError(
                    f"Candidate {option!r} of LayerChoice must be a torch.nn.Module; got {candidate!r}. "
                    "Wrap a function in a module, and use nn.Identity() to skip."
                )
            if isinstance(candidates, Mapping) and (
                not isinstance(option, str) or not option or "." in option or hasattr(nn.Module, option)
            ):
                raise SpaceError(
                    f"The key of a candidate must be a string without dots that is no attribute of torch.nn.Module; "
                    f"got {option!r}. Use another."
                )
            self.add_module(str(option), candidate)
        self._slot = Slot(key="", suffix="", label=label, options=tuple(named))

    def slots(self) -> tuple[Slot, ...]:
        """One slot: which candidate."""
        return (self._slot,)

    def guards(self) -> dict[str, dict[str, tuple[Option, ...]]]:
        """Every candidate runs under its own option."""
        return {str(option): {"": (option,)} for option in self._slot.options}

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """The candidate."""
        candidate = self._modules[str(options[""])]
        assert candidate is not None
        return view(candidate)
