"""The six published networks of HardCoRe-NAS: strings from its repository, counts from timm's `hardcorenas_*`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    timm_name: str
    string: str
    params: int
    macs: int


_STEM = "['ds_r1_k3_s1_e1_c16_nre']"
_HEAD = "['cn_r1_k1_s1_c960']"


def _network(letter: str, stages: str, params: int, macs: int) -> Published:
    return Published(f"hardcorenas_{letter}", f"[{_STEM}, {stages}, {_HEAD}]", params, macs)


PUBLISHED = (
    _network(
        "a",
        "['ir_r1_k5_s2_e3_c24_nre', 'ir_r1_k5_s1_e3_c24_nre_se0.25'], "
        "['ir_r1_k5_s2_e3_c40_nre', 'ir_r1_k5_s1_e6_c40_nre_se0.25'], "
        "['ir_r1_k5_s2_e6_c80_se0.25', 'ir_r1_k5_s1_e6_c80_se0.25'], "
        "['ir_r1_k5_s1_e6_c112_se0.25', 'ir_r1_k5_s1_e6_c112_se0.25'], "
        "['ir_r1_k5_s2_e6_c192_se0.25', 'ir_r1_k5_s1_e6_c192_se0.25']",
        5_260_232,
        224_227_936,
    ),
    _network(
        "b",
        "['ir_r1_k5_s2_e3_c24_nre', 'ir_r1_k5_s1_e3_c24_nre_se0.25', 'ir_r1_k3_s1_e3_c24_nre'], "
        "['ir_r1_k5_s2_e3_c40_nre', 'ir_r1_k5_s1_e3_c40_nre', 'ir_r1_k5_s1_e3_c40_nre'], "
        "['ir_r1_k5_s2_e3_c80', 'ir_r1_k5_s1_e3_c80', 'ir_r1_k3_s1_e3_c80', 'ir_r1_k3_s1_e3_c80'], "
        "['ir_r1_k5_s1_e3_c112', 'ir_r1_k3_s1_e3_c112', 'ir_r1_k3_s1_e3_c112', 'ir_r1_k3_s1_e3_c112'], "
        "['ir_r1_k5_s2_e6_c192_se0.25', 'ir_r1_k5_s1_e6_c192_se0.25', 'ir_r1_k3_s1_e3_c192_se0.25']",
        5_176_544,
        251_832_064,
    ),
    _network(
        "c",
        "['ir_r1_k5_s2_e3_c24_nre', 'ir_r1_k5_s1_e3_c24_nre_se0.25'], "
        "['ir_r1_k5_s2_e3_c40_nre', 'ir_r1_k5_s1_e3_c40_nre', 'ir_r1_k5_s1_e3_c40_nre', "
        "'ir_r1_k5_s1_e3_c40_nre'], "
        "['ir_r1_k5_s2_e4_c80', 'ir_r1_k5_s1_e6_c80_se0.25', 'ir_r1_k3_s1_e3_c80', 'ir_r1_k3_s1_e3_c80'], "
        "['ir_r1_k5_s1_e6_c112_se0.25', 'ir_r1_k3_s1_e3_c112', 'ir_r1_k3_s1_e3_c112', "
        "'ir_r1_k3_s1_e3_c112'], "
        "['ir_r1_k5_s2_e6_c192_se0.25', 'ir_r1_k5_s1_e6_c192_se0.25', 'ir_r1_k3_s1_e3_c192_se0.25']",
        5_521_224,
        270_058_400,
    ),
    _network(
        "d",
        "['ir_r1_k5_s2_e3_c24_nre_se0.25', 'ir_r1_k5_s1_e3_c24_nre_se0.25'], "
        "['ir_r1_k5_s2_e3_c40_nre_se0.25', 'ir_r1_k5_s1_e4_c40_nre_se0.25', "
        "'ir_r1_k3_s1_e3_c40_nre_se0.25'], "
        "['ir_r1_k5_s2_e4_c80_se0.25', 'ir_r1_k3_s1_e3_c80_se0.25', 'ir_r1_k3_s1_e3_c80_se0.25', "
        "'ir_r1_k3_s1_e3_c80_se0.25'], "
        "['ir_r1_k3_s1_e4_c112_se0.25', 'ir_r1_k5_s1_e4_c112_se0.25', 'ir_r1_k3_s1_e3_c112_se0.25', "
        "'ir_r1_k5_s1_e3_c112_se0.25'], "
        "['ir_r1_k5_s2_e6_c192_se0.25', 'ir_r1_k5_s1_e6_c192_se0.25', 'ir_r1_k5_s1_e6_c192_se0.25', "
        "'ir_r1_k3_s1_e6_c192_se0.25']",
        7_500_208,
        287_787_616,
    ),
    _network(
        "e",
        "['ir_r1_k5_s2_e3_c24_nre_se0.25', 'ir_r1_k5_s1_e3_c24_nre_se0.25'], "
        "['ir_r1_k5_s2_e6_c40_nre_se0.25', 'ir_r1_k5_s1_e4_c40_nre_se0.25', 'ir_r1_k5_s1_e4_c40_nre_se0.25', "
        "'ir_r1_k3_s1_e3_c40_nre_se0.25'], "
        "['ir_r1_k5_s2_e4_c80_se0.25', 'ir_r1_k3_s1_e6_c80_se0.25'], "
        "['ir_r1_k5_s1_e6_c112_se0.25', 'ir_r1_k5_s1_e6_c112_se0.25', 'ir_r1_k5_s1_e6_c112_se0.25', "
        "'ir_r1_k5_s1_e3_c112_se0.25'], "
        "['ir_r1_k5_s2_e6_c192_se0.25', 'ir_r1_k5_s1_e6_c192_se0.25', 'ir_r1_k5_s1_e6_c192_se0.25', "
        "'ir_r1_k3_s1_e6_c192_se0.25']",
        8_070_992,
        338_689_760,
    ),
    _network(
        "f",
        "['ir_r1_k5_s2_e3_c24_nre_se0.25', 'ir_r1_k5_s1_e3_c24_nre_se0.25'], "
        "['ir_r1_k5_s2_e6_c40_nre_se0.25', 'ir_r1_k5_s1_e6_c40_nre_se0.25'], "
        "['ir_r1_k5_s2_e6_c80_se0.25', 'ir_r1_k5_s1_e6_c80_se0.25', 'ir_r1_k3_s1_e3_c80_se0.25', "
        "'ir_r1_k3_s1_e3_c80_se0.25'], "
        "['ir_r1_k3_s1_e6_c112_se0.25', 'ir_r1_k5_s1_e6_c112_se0.25', 'ir_r1_k5_s1_e6_c112_se0.25', "
        "'ir_r1_k3_s1_e3_c112_se0.25'], "
        "['ir_r1_k5_s2_e6_c192_se0.25', 'ir_r1_k5_s1_e6_c192_se0.25', 'ir_r1_k3_s1_e6_c192_se0.25', "
        "'ir_r1_k3_s1_e6_c192_se0.25']",
        8_199_688,
        341_905_696,
    ),
)

# The example of the published README: the large variant, all widths 1.2 times as wide.
LARGE = (
    "["
    "['ds_r1_k3_s1_e1_c24_nre'], "
    "['ir_r1_k5_s2_e3_c32_nre_se0.25', 'ir_r1_k5_s1_e6_c32_nre_se0.25'], "
    "['ir_r1_k5_s2_e6_c48_nre_se0.25', 'ir_r1_k5_s1_e6_c48_nre_se0.25', 'ir_r1_k5_s1_e6_c48_nre_se0.25', "
    "'ir_r1_k3_s1_e3_c48_nre_se0.25'], "
    "['ir_r1_k5_s2_e6_c96_se0.25', 'ir_r1_k5_s1_e6_c96_se0.25', 'ir_r1_k3_s1_e3_c96_se0.25', "
    "'ir_r1_k3_s1_e3_c96_se0.25'], "
    "['ir_r1_k5_s1_e6_c136_se0.25', 'ir_r1_k3_s1_e6_c136_se0.25', 'ir_r1_k3_s1_e3_c136_se0.25', "
    "'ir_r1_k5_s1_e3_c136_se0.25'], "
    "['ir_r1_k5_s2_e6_c232_se0.25', 'ir_r1_k5_s1_e6_c232_se0.25'], "
    "['cn_r1_k1_s1_c1152']]"
)
