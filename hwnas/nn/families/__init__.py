"""Ready spaces.

ready                  every family below and its small members, by name; the published networks of all of them
registry               makes spaces and published networks by name, or spaces by a user's own factory in a file
mobilenet_v3           HardCoRe-NAS's space around MobileNetV3, and small members of it; hardcorenas: the
                       paper's networks by name
proxylessnas           ProxylessNAS's space, and the paper's networks by name
fbnet22                FBNet's space, and the paper's networks by name
shufflenet_v2          SPOS's space around ShuffleNetV2, and the paper's network by name
nasbench201            NAS-Bench-201's cell, and its architecture strings
darts                  DARTS's space of cells; darts_operations in them, darts_genotype: the paper's networks by name,
                       darts_auxiliary: the second classifier of their final training
pfld                   PFLD's space for the points of faces, and the angles' head of its training; pfld_blocks in it
enas_macro             ENAS's space of layers and skips
enas_micro             ENAS's space of cells
stages                 what proxylessnas and fbnet22 share: stages of searched blocks
published              a published network as data
strings                architecture strings, of the spaces that have some
architecture_string    timm's notation for such networks: parse, format, build
"""

from hwnas.nn.families.darts import DartsNetwork, darts
from hwnas.nn.families.darts_auxiliary import WithAuxiliaryHead
from hwnas.nn.families.darts_genotype import DARTS_NETWORKS, from_genotype
from hwnas.nn.families.enas_macro import enas_macro
from hwnas.nn.families.enas_micro import EnasMicroNetwork, enas_micro
from hwnas.nn.families.fbnet22 import FBNET_NETWORKS, fbnet22
from hwnas.nn.families.hardcorenas import HARDCORENAS_NETWORKS
from hwnas.nn.families.mobilenet_v3 import MobileNetV3Space, mobilenet_v3
from hwnas.nn.families.nasbench201 import NASBench201Space, nasbench201
from hwnas.nn.families.pfld import PFLDNetwork, WithAngleHead, pfld
from hwnas.nn.families.proxylessnas import PROXYLESSNAS_NETWORKS, proxylessnas
from hwnas.nn.families.published import PublishedNetwork
from hwnas.nn.families.ready import FAMILIES, PUBLISHED_NAMES, PUBLISHED_NETWORKS, Family
from hwnas.nn.families.registry import family, find_published, load_space, published_network
from hwnas.nn.families.shufflenet_v2 import SHUFFLENET_V2_NETWORKS, shufflenet_v2, spos_weight_name
from hwnas.nn.families.strings import HasStrings, from_string, to_string

__all__ = [
    "DARTS_NETWORKS",
    "FAMILIES",
    "FBNET_NETWORKS",
    "HARDCORENAS_NETWORKS",
    "PROXYLESSNAS_NETWORKS",
    "PUBLISHED_NAMES",
    "PUBLISHED_NETWORKS",
    "SHUFFLENET_V2_NETWORKS",
    "DartsNetwork",
    "EnasMicroNetwork",
    "Family",
    "HasStrings",
    "MobileNetV3Space",
    "NASBench201Space",
    "PFLDNetwork",
    "PublishedNetwork",
    "WithAngleHead",
    "WithAuxiliaryHead",
    "darts",
    "enas_macro",
    "enas_micro",
    "family",
    "find_published",
    "fbnet22",
    "from_genotype",
    "from_string",
    "load_space",
    "mobilenet_v3",
    "nasbench201",
    "pfld",
    "proxylessnas",
    "published_network",
    "shufflenet_v2",
    "spos_weight_name",
    "to_string",
]
