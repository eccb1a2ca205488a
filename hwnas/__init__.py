"""hwnas: hardware-aware neural architecture search under hard budgets."""

__version__ = "0.1.0"
