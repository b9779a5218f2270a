"""The convolutional digits, at a size that CI can afford."""

import importlib.util

import numpy as np
import pytest

from examples import conv_digits

pytest.importorskip("sklearn")


def test_a_quick_run_reads_the_digits_and_draws_them(tmp_path, capsys):
    run = conv_digits.main(["--quick", "--output", str(tmp_path)])
    assert run.test[-1] >= conv_digits.QUICK_GOAL
    out = capsys.readouterr().out
    assert f"Test accuracy after 8 epochs: {run.test[-1]:.4f}" in out
    assert "6,138 parameters" in out
    if importlib.util.find_spec("matplotlib"):
        assert (tmp_path / "conv_digits.png").stat().st_size > 10_000


def test_images_are_moved_by_at_most_a_pixel():
    images = np.zeros((100, 8, 8, 1))
    images[:, 4, 4] = 1
    moved = conv_digits.moved(images, np.random.default_rng(0))
    places = np.argwhere(moved[..., 0])[:, 1:]
    assert {tuple(place) for place in places} == {(i, j) for i in (3, 4, 5) for j in (3, 4, 5)}


def test_wrong_arguments_are_refused(capsys):
    with pytest.raises(SystemExit) as left:
        conv_digits.main(["--epochs", "0"])
    assert left.value.code == 2
