"""Colours of charts: methods stay apart at every shade, for colour-blind eyes too."""

import itertools

import numpy as np
import pytest

from optlab.report.oklab import lightness, linear_rgb, oklab
from optlab.report.style import PALETTE, Styles

# Of linear red, green and blue: Machado, Oliveira and Fernandes (2009), at severity 1.
SEEN_BY = {
    "most": np.eye(3),
    "protanopes": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopes": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopes": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
STEP = 0.02  # of OKLab: about what is just noticed side by side

SIZES = [str(2**k) for k in range(6)]
METHODS = [f"method {k}" for k in range(len(PALETTE))]


def seen(colour, eyes):
    return oklab(np.clip(SEEN_BY[eyes] @ linear_rgb(colour), 0, 1))


def nearest(one, other, ground, eyes):
    """Return the least distance in OKLab between any shades of two styles."""
    pairs = itertools.product(getattr(one, ground), getattr(other, ground))
    return min(np.linalg.norm(seen(a, eyes) - seen(b, eyes)) for a, b in pairs)


@pytest.mark.parametrize("ground", ["shades", "dark"])
@pytest.mark.parametrize("eyes", list(SEEN_BY))
def test_no_shades_of_two_methods_meet(ground, eyes):
    """By colour alone for most eyes; for others, to whom one axis of hue is left, with dashes."""
    styles = list(Styles.of(METHODS, SIZES).by_optimizer.values())
    for one, other in itertools.combinations(styles, 2):
        if eyes == "most":
            assert nearest(one, other, ground, eyes) > 3 * STEP
        elif one.dash == other.dash:
            assert nearest(one, other, ground, eyes) > 5 * STEP


@pytest.mark.parametrize("eyes", list(SEEN_BY))
def test_shades_of_a_method_go_from_dark_to_light_in_steps_that_show(eyes):
    for style in Styles.of(METHODS, ["1", "8", "full"]).by_optimizer.values():
        *each, own = style.shades
        light = [lightness(colour) for colour in each]
        assert light == sorted(light)
        assert light[0] - 0.01 <= lightness(own) <= light[-1] + 0.01
        for a, b in itertools.pairwise(each):
            assert np.linalg.norm(seen(a, eyes) - seen(b, eyes)) > STEP


def test_settings_of_a_method_share_its_hue_and_shades_are_what_varies():
    names = [f"{method}(learning_rate={rate})" for rate in (0.1, 1) for method in ("SGD", "Adam")]
    one_size = Styles.of([*names, "Lstsq"], ["32"])
    assert list(one_size.methods) == ["SGD", "Adam", "Lstsq"]
    sgd = [one_size[name] for name in one_size.methods["SGD"]]
    assert len({style.shades for style in sgd}) == 2
    assert len({style.dash for style in sgd}) == 1
    several = Styles.of(names, ["1", "full"])
    sgd = [several[name] for name in several.methods["SGD"]]
    assert len({style.shades for style in sgd}) == 1  # shades are the batch sizes
    assert len({style.dash for style in sgd}) == 2
    hues = {np.arctan2(*oklab(linear_rgb(style.shades[0]))[1:]).round(1) for style in sgd}
    assert len(hues) == 1
