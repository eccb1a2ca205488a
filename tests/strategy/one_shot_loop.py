"""The planted task of `hwnas.testing`, under its former name."""

from hwnas.testing.planted_search import moments, planted_data, planted_space, run

__all__ = ["moments", "planted_data", "planted_space", "run"]
