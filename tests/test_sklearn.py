"""The estimators keep scikit-learn's conventions, and learn."""

# ruff: noqa: TID253 (all of this file needs scikit-learn)

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from funcgrad import nn, tree
from funcgrad.errors import ArgumentError
from funcgrad.sklearn import NetworkClassifier, NetworkRegressor


@parametrize_with_checks([NetworkClassifier(epochs=20), NetworkRegressor(epochs=50)])
@pytest.mark.filterwarnings("default")  # scikit-learn's own, from checks that it skips
def test_scikit_learn_accepts_them(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(x), np.array(["setosa", "versicolor", "virginica"])[y]


def test_labels_may_be_words(iris):
    x, y = iris
    network = NetworkClassifier((16,), epochs=60, random_state=0).fit(x, y)
    assert network.score(x, y) > 0.95
    assert list(network.classes_) == ["setosa", "versicolor", "virginica"]
    np.testing.assert_allclose(network.predict_proba(x).sum(axis=1), 1)
    best = network.predict_proba(x).argmax(axis=1)
    np.testing.assert_array_equal(network.predict(x), network.classes_[best])


def test_the_random_state_fixes_the_result(iris):
    a, b, c = (NetworkClassifier(epochs=2, random_state=s).fit(*iris) for s in (1, 1, 2))
    np.testing.assert_array_equal(a.predict_proba(iris[0]), b.predict_proba(iris[0]))
    assert not np.array_equal(a.predict_proba(iris[0]), c.predict_proba(iris[0]))


def test_patience_ends_the_training_and_keeps_the_best(iris):
    network = NetworkClassifier(
        optimizer=nn.Adam(0.1), epochs=500, patience=5, validation_fraction=0.3, random_state=0
    ).fit(*iris)
    assert network.n_iter_ < 500
    losses = network.history_["validation_loss"]
    assert np.argmin(losses) == network.n_iter_ - 6
    with pytest.raises(ArgumentError, match=r"validation_fraction=0.001 leaves nothing"):
        clone(network).set_params(validation_fraction=0.001).fit(*iris)


def test_a_function_builds_any_network(iris):
    def build(n_in, n_out):
        return nn.Sequential(nn.Linear(n_in, 5), nn.Tanh(), nn.Linear(5, n_out))

    network = NetworkClassifier(build, epochs=1).fit(*iris)
    assert "Tanh" in repr(network.model_)


def test_they_stand_in_pipelines_and_searches(iris):
    pipeline = make_pipeline(StandardScaler(), NetworkClassifier(epochs=3, random_state=0))
    search = GridSearchCV(pipeline, {"networkclassifier__hidden": [(4,), (16, 16)]}, cv=2)
    assert search.fit(*iris).best_score_ > 0.3
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict(iris[0]), search.predict(iris[0]))


def test_lbfgs_fits_several_outputs(rng):
    x = rng.uniform(-1, 1, size=(80, 2))
    y = np.stack([np.sin(2 * x[:, 0]), x[:, 0] * x[:, 1]], axis=1)
    network = NetworkRegressor(
        (16,), optimizer=nn.LBFGS(), batch_size=None, epochs=150, random_state=0
    ).fit(x, y)
    assert network.predict(x).shape == (80, 2)
    assert network.score(x, y) > 0.99


def test_single_precision_is_kept(iris):
    x = iris[0].astype(np.float32)
    network = NetworkClassifier(epochs=1).fit(x, iris[1])
    assert {p.dtype for p in tree.leaves(network.params_)} == {np.dtype(np.float32)}
    assert network.predict_proba(x).dtype == np.float32
    assert NetworkRegressor(epochs=1).fit(x, x[:, 0]).predict(x).dtype == np.float32


def test_prediction_needs_training(iris):
    with pytest.raises(NotFittedError):
        NetworkRegressor().predict(iris[0])


@pytest.mark.parametrize("hidden", [16, "16"])
def test_hidden_is_a_sequence(hidden):
    with pytest.raises(ArgumentError, match="hidden is a sequence of widths, or a function"):
        NetworkClassifier(hidden).fit(np.eye(4), [0, 1, 0, 1])
