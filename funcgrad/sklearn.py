"""Networks as scikit-learn estimators: for its pipelines, searches and cross-validation.

Owns the translation between scikit-learn's conventions and `funcgrad.training.fit`. This is the one
module that an optional package must be installed for to import it; nothing here imports it.
"""

# mypy: disable-error-code="import-untyped,import-not-found"

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from sklearn.base import (  # noqa: TID253 (an estimator is a subclass)
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
)
from sklearn.utils.multiclass import check_classification_targets  # noqa: TID253
from sklearn.utils.validation import (  # noqa: TID253
    check_is_fitted,
    check_random_state,
    validate_data,
)

from funcgrad import nn
from funcgrad.errors import ArgumentError, fail
from funcgrad.nn.settings import check_number
from funcgrad.training import fit

__all__ = ["NetworkClassifier", "NetworkRegressor"]


class _Network(BaseEstimator):  # type: ignore[misc]
    """What both estimators share: the settings, the network, the training."""

    def __init__(
        self,
        hidden: Sequence[int] | Callable[[int, int], Any] = (64,),
        *,
        optimizer: Any = None,
        epochs: int = 100,
        batch_size: int | None = 32,
        patience: int | None = None,
        validation_fraction: float = 0.1,
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.optimizer = optimizer
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def _train(self, x: Any, targets: Any, n_out: int, loss: Callable[[Any, Any], Any]) -> Self:
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        self.model_ = self._build(x.shape[1], n_out, x.dtype)
        data, held_out = (x, targets), None
        if self.patience is not None:
            data, held_out = self._split(x, targets, rng)
        self.params_, self.state_, self.history_ = fit(
            self.model_,
            loss,
            data,
            nn.Adam(0.01) if self.optimizer is None else self.optimizer,
            self.epochs,
            batch_size=self.batch_size,
            seed=rng,
            validation=held_out,
            patience=self.patience,
        )
        self.n_iter_ = len(self.history_.get("loss", ()))
        return self

    def _build(self, n_in: int, n_out: int, dtype: Any) -> Any:
        if callable(self.hidden):
            return self.hidden(n_in, n_out)
        hidden: Any = self.hidden
        if isinstance(hidden, str) or not isinstance(hidden, Iterable):
            what = f"hidden is a sequence of widths, or a function, but got {hidden!r}."
            raise fail(ArgumentError, what, "write hidden=(64,) for one hidden layer.")
        layers: list[Any] = []
        for narrow, wide in pairwise((n_in, *self.hidden)):
            layers += [nn.Linear(narrow, wide, nn.he_normal, dtype=dtype), nn.ReLU()]
        last = (n_in, *self.hidden)[-1]
        return nn.Sequential(*layers, nn.Linear(last, n_out, dtype=dtype))

    def _split(self, x: Any, targets: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        check_number(self, "validation_fraction", self.validation_fraction, 0.1, above=0, below=1)
        count = round(self.validation_fraction * len(x))
        if not 0 < count < len(x):
            what = (
                f"validation_fraction={self.validation_fraction!r} leaves nothing to train or to "
                f"validate on, with n_samples = {len(x)}."
            )
            raise fail(ArgumentError, what, "write validation_fraction=0.1, or patience=None.")
        order = rng.permutation(len(x))
        held_out, kept = order[:count], order[count:]
        return (x[kept], targets[kept]), (x[held_out], targets[held_out])

    def _outputs(self, x: Any) -> Any:
        check_is_fitted(self, "params_")
        x = validate_data(self, x, dtype=(np.float64, np.float32), reset=False)
        return nn.apply_layer(self.model_, self.params_, x, state=self.state_)[0]


class NetworkClassifier(ClassifierMixin, _Network):  # type: ignore[misc]
    """A network with a softmax at its end, as a scikit-learn classifier.

    Scale the inputs first, for instance by a StandardScaler in a pipeline.

    Parameters
    ----------
    hidden : sequence of int, or callable, default (64,)
        The widths of the hidden layers, each followed by a ReLU; or a function
        ``hidden(n_in, n_out) -> model`` that builds another network, from features to one score
        per class.
    optimizer : optimizer, optional
        By default ``nn.Adam(0.01)``.
    epochs : int, default 100
    batch_size : int or None, default 32
        None is all the data in each step, as `nn.LBFGS` needs it.
    patience : int, optional
        Hold examples out, stop after so many epochs without a lower loss on them, and keep the
        best parameters.
    validation_fraction : float, default 0.1
        The share of examples that `patience` holds out.
    random_state : int, RandomState, optional

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    model_, params_, state_
        The network, its parameters, and the state of its layers.
    history_ : dict
        See `funcgrad.training.fit`.
    n_iter_ : int
        How many epochs were run.
    n_features_in_, feature_names_in_
        As scikit-learn sets them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> x, y = load_iris(return_X_y=True)
    >>> pipeline = make_pipeline(StandardScaler(), NetworkClassifier((16,), random_state=0))
    >>> pipeline.fit(x, y).score(x, y) > 0.95
    True
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train the network on X of shape (n_samples, n_features) and labels y (n_samples,)."""
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32))
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        return self._train(X, labels, len(self.classes_), nn.softmax_cross_entropy)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, of shape (n_samples, n_classes)."""
        return nn.softmax(self._outputs(X), axis=-1)

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each sample, of shape (n_samples,)."""
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(axis=-1)]


class NetworkRegressor(RegressorMixin, _Network):  # type: ignore[misc]
    """A network that minimises the mean squared error, as a scikit-learn regressor.

    Scale the inputs first, for instance by a StandardScaler in a pipeline, and targets far from
    the size of 1 by a TransformedTargetRegressor.

    Parameters
    ----------
    hidden : sequence of int, or callable, default (64,)
        The widths of the hidden layers, each followed by a ReLU; or a function
        ``hidden(n_in, n_out) -> model`` that builds another network.
    optimizer, epochs, batch_size, patience, validation_fraction, random_state
        As in `NetworkClassifier`.

    Attributes
    ----------
    model_, params_, state_, history_, n_iter_, n_features_in_, feature_names_in_
        As in `NetworkClassifier`.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> network = NetworkRegressor((16,), optimizer=nn.LBFGS(), batch_size=None, random_state=0)
    >>> network.fit(x, np.sin(3 * x[:, 0])).score(x, np.sin(3 * x[:, 0])) > 0.99
    True
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train the network on X (n_samples, n_features) and y (n_samples,) or (n_samples, n_outputs)."""
        X, y = validate_data(
            self, X, y, dtype=(np.float64, np.float32), multi_output=True, y_numeric=True
        )
        targets = np.asarray(y, X.dtype).reshape(len(y), -1)
        self._one_output = np.ndim(y) == 1
        return self._train(X, targets, targets.shape[1], nn.mean_squared_error)

    def predict(self, X: Any) -> Any:
        """Return the predictions, in the shape that the targets had."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._one_output else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
