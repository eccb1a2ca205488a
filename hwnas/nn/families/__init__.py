"""Ready spaces.

registry               spaces by name, and a user's own factory in a file
mobilenet_v3           HardCoRe-NAS's space around MobileNetV3, and small members of it
architecture_string    timm's notation for such networks: parse, format, build
"""

from hwnas.nn.families.mobilenet_v3 import MobileNetV3Space, from_string, mobilenet_v3, to_string
from hwnas.nn.families.registry import FAMILIES, Family, family, load_space

__all__ = [
    "FAMILIES",
    "Family",
    "MobileNetV3Space",
    "family",
    "from_string",
    "load_space",
    "mobilenet_v3",
    "to_string",
]
