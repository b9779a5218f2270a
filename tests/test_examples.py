"""The examples, at a size that CI can afford, through the doors their users take."""

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from examples import digits, disc

ROOT = Path(disc.__file__).parents[1]

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="draws with matplotlib"
)
needs_sklearn = pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None, reason="the digits come with scikit-learn"
)


def hide(monkeypatch, *packages):
    """Make packages look as if they were not installed."""
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
    find_spec = importlib.util.find_spec

    def without(name):
        return None if name in packages else find_spec(name)

    monkeypatch.setattr(disc, "find_spec", without)
    monkeypatch.setattr(digits, "find_spec", without)


@pytest.mark.parametrize("name", ["disc", "digits"])
def test_each_runs_as_a_program(name, tmp_path):
    if name == "digits":
        pytest.importorskip("sklearn")
    arguments = ["--epochs", "2", "--repeats", "1", "--seed", "1", "--output", str(tmp_path)]
    arguments += ["--no-torch"] if name == "disc" else []
    program = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(program, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Sequential(\n  0: Linear(" in done.stdout
    if importlib.util.find_spec("matplotlib"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


@pytest.mark.parametrize("example", [disc, digits])
def test_help_and_wrong_arguments(example, capsys):
    with pytest.raises(SystemExit) as left:
        example.main(["--help"])
    assert left.value.code == 0
    assert "--epochs" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        example.main(["--epochs", "0"])
    assert left.value.code == 2


@pytest.mark.parametrize("example", [disc, digits])
def test_a_quick_run_is_shorter_and_gives_way_to_numbers(example):
    whole, quick = example.parse([]), example.parse(["--quick"])
    assert quick.epochs < whole.epochs
    assert quick.repeats < whole.repeats
    assert example.parse(["--quick", "--epochs", "7"]).epochs == 7


def test_the_disc_is_half_of_the_square():
    points, targets = disc.draw_points(np.random.default_rng(0))
    assert points.shape == targets.shape == (1000, 2)
    assert abs(targets[:, 1].mean() - 0.5) < 6 * 0.5 / 1000**0.5
    assert (targets.sum(axis=1) == 1).all()


def test_the_disc_is_standardised_by_the_train_data():
    (x, _), (x_test, _) = disc.draw_data(np.random.default_rng(0))
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(x.std(axis=0), 1)
    assert abs(x_test.std() - 1) > 1e-6


def test_the_disc_reaches_the_figures_of_the_report(tmp_path, capsys):
    runs = disc.main(["--repeats", "3", "--no-torch", "--output", str(tmp_path)])
    train, test = (np.median([getattr(r, k)[-1] for r in runs], axis=0) for k in ("train", "test"))
    assert train[0] <= 0.026
    assert test[1] >= 0.975
    out = capsys.readouterr().out
    assert "report       0.0228 ± 0.0023        0.986 ± 0.0034" in out
    assert f"Train  funcgrad     {train[0]:.4f} ±" in out


def test_a_run_of_the_disc_can_be_repeated(tmp_path):
    argv = ["--epochs", "3", "--repeats", "2", "--no-torch", "--output", str(tmp_path)]
    one, other = disc.main(argv), disc.main(argv)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.train, b.train)
        assert a.epochs == [0, 3]
    assert not np.array_equal(one[0].train, one[1].train)


@pytest.mark.filterwarnings("default")  # what PyTorch warns of is not ours
def test_pytorch_takes_the_same_path(tmp_path, capsys):
    pytest.importorskip("torch")
    # main compares the final losses itself, and would fail
    runs = disc.main(["--epochs", "20", "--repeats", "1", "--output", str(tmp_path)])
    assert runs[0].torch_seconds > 0
    assert "of PyTorch's time" in capsys.readouterr().out


@needs_sklearn
def test_the_digits_are_read_with_both_losses(tmp_path):
    runs = digits.main(["--repeats", "2", "--epochs", "15", "--output", str(tmp_path)])
    for of_loss in runs.values():
        assert np.median([run.test[-1] for run in of_loss]) >= 0.96
        assert all(len(run.loss) == 15 for run in of_loss)


@needs_sklearn
@needs_matplotlib
@pytest.mark.parametrize("example", [disc, digits])
def test_without_the_extra_they_run_and_say_what_is_missing(example, tmp_path, monkeypatch, capsys):
    hide(monkeypatch, "tqdm", "matplotlib", "torch")
    example.main(["--epochs", "1", "--repeats", "1", "--output", str(tmp_path)])
    out = capsys.readouterr().out
    assert "Not installed: tqdm, matplotlib" in out
    assert 'pip install "funcgrad[examples]"' in out
    assert list(tmp_path.iterdir()) == []


def test_digits_need_scikit_learn(monkeypatch):
    hide(monkeypatch, "sklearn")
    with pytest.raises(SystemExit, match=r"scikit-learn(.*\n)*.*pip install"):
        digits.main([])


# --- the gallery: each program prints its figures, and asserts them itself -----------------------

GALLERY = [
    pytest.param("autoencoder", marks=needs_sklearn),
    "bayesian_network",
    "characters",
    "gaussian_process",
    "implicit_layer",
    "logistic_growth",
    pytest.param("logistic_regression", marks=needs_sklearn),
    "maml",
    "neural_ode",
    "optimal_control",
    "pendulum",
]


@pytest.mark.parametrize("name", GALLERY)
def test_the_gallery_reaches_its_figures(name, tmp_path, capsys):
    example = importlib.import_module(f"examples.{name}")
    picture = tmp_path / f"{name}.png" if importlib.util.find_spec("matplotlib") else None
    example.main(quick=True, output=picture)
    assert capsys.readouterr().out
    if picture:
        assert picture.stat().st_size > 10_000


def test_the_gallery_page_shows_every_program():
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    for program in sorted((ROOT / "examples").glob("*.py")):
        assert f"(../examples/{program.name})" in page, program.name
    for picture in sorted((ROOT / "docs" / "gallery").iterdir()):
        assert f"(gallery/{picture.name})" in page
        assert picture.stat().st_size < 60_000


def test_a_program_of_the_gallery_says_what_it_takes():
    program = [sys.executable, str(ROOT / "examples" / "gaussian_process.py"), "--help"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(program, env=env, capture_output=True, text=True, check=True)
    assert "--quick" in done.stdout
    assert "--output" in done.stdout
