"""Ready spaces.

registry               spaces by name, and a user's own factory in a file
mobilenet_v3           HardCoRe-NAS's space around MobileNetV3, and small members of it
proxylessnas           ProxylessNAS's space, and the paper's networks by name
fbnet22                FBNet's space, and the paper's networks by name
stages, published      what those two share: stages of searched blocks; a network as data
architecture_string    timm's notation for such networks: parse, format, build
"""

from hwnas.nn.families.fbnet22 import FBNET_NETWORKS, fbnet22
from hwnas.nn.families.mobilenet_v3 import MobileNetV3Space, from_string, mobilenet_v3, to_string
from hwnas.nn.families.proxylessnas import PROXYLESSNAS_NETWORKS, proxylessnas
from hwnas.nn.families.published import PublishedNetwork
from hwnas.nn.families.registry import FAMILIES, Family, family, load_space

__all__ = [
    "FAMILIES",
    "FBNET_NETWORKS",
    "PROXYLESSNAS_NETWORKS",
    "Family",
    "MobileNetV3Space",
    "PublishedNetwork",
    "family",
    "fbnet22",
    "from_string",
    "load_space",
    "mobilenet_v3",
    "proxylessnas",
    "to_string",
]
