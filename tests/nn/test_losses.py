"""The losses, their gradients in closed form, and their errors."""

import numpy as np
import pytest

from funcgrad import grad, nn, value_and_grad, vmap
from funcgrad.errors import ArgumentError, ShapeError
from funcgrad.testing import check_grads

N, K = 6, 4
LABELS = np.array([0, 3, 1, 1, 2, 0])
ONE_HOT = np.eye(K)[LABELS]


@pytest.fixture
def logits(rng):
    return 3 * rng.normal(size=(N, K))


# --- squared errors ------------------------------------------------------------------------------


def test_mean_squared_error_and_its_gradient(rng):
    y, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    value, g = value_and_grad(nn.mean_squared_error)(y, t)
    assert value == pytest.approx(((y - t) ** 2).sum() / 15)
    np.testing.assert_allclose(g, 2 * (y - t) / 15)


def test_half_squared_error_divides_by_twice_the_samples(rng):
    y, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    value, g = value_and_grad(nn.half_squared_error)(y, t)
    assert value == pytest.approx(((y - t) ** 2).sum() / 10)
    np.testing.assert_allclose(g, (y - t) / 5)
    assert nn.half_squared_error(np.float64(3.0), 1.0) == 2


@pytest.mark.parametrize("loss", [nn.mean_squared_error, nn.half_squared_error])
def test_targets_may_be_traced_and_predictions_plain(loss, rng):
    y, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    np.testing.assert_allclose(grad(loss, argnums=1)(y, t), -grad(loss)(y, t))
    # Integer data in the place of the predictions does not round a traced target.
    np.testing.assert_allclose(
        grad(loss, argnums=1)(np.ones((5, 3), int), t), -grad(loss)(1 - t, 0 * t)
    )


@pytest.mark.parametrize(
    "loss", [nn.mean_squared_error, nn.half_squared_error, nn.sigmoid_cross_entropy]
)
def test_targets_are_never_broadcast(loss):
    with pytest.raises(ShapeError, match=r"got \(5, 1\) and \(5,\)"):
        loss(np.zeros((5, 1)), np.zeros(5))


# --- softmax cross-entropy -----------------------------------------------------------------------


def test_cross_entropy_is_minus_the_mean_log_probability(logits):
    expected = -np.mean(np.log(nn.softmax(logits)[np.arange(N), LABELS]))
    assert nn.softmax_cross_entropy(logits, LABELS) == pytest.approx(expected, rel=1e-14)
    assert nn.softmax_cross_entropy(logits, ONE_HOT) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("labels", [LABELS, ONE_HOT, ONE_HOT.astype(bool), ONE_HOT.astype(int)])
def test_gradient_of_cross_entropy_is_softmax_minus_target(logits, labels):
    g = grad(nn.softmax_cross_entropy)(logits, labels)
    np.testing.assert_allclose(g, (nn.softmax(logits) - ONE_HOT) / N, rtol=1e-14, atol=1e-16)


def test_cross_entropy_takes_probabilities(logits, rng):
    p = nn.softmax(rng.normal(size=(N, K)))
    value, g = value_and_grad(nn.softmax_cross_entropy)(logits, p)
    assert value == pytest.approx(-np.mean((p * np.log(nn.softmax(logits))).sum(axis=1)))
    np.testing.assert_allclose(g, (nn.softmax(logits) - p) / N, rtol=1e-13, atol=1e-16)


def test_cross_entropy_has_a_gradient_in_its_labels(logits):
    g = grad(nn.softmax_cross_entropy, argnums=1)(logits, ONE_HOT)
    np.testing.assert_allclose(g, -nn.log_softmax(logits) / N, rtol=1e-13)


def test_cross_entropy_does_not_overflow():
    logits = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, -2e4]])
    value, g = value_and_grad(nn.softmax_cross_entropy)(logits, np.array([2, 0]))
    assert value == pytest.approx((2e4 + np.log(2)) / 2)
    np.testing.assert_allclose(g, [[0.5, 0, -0.5], [-0.25, 0.25, 0]])


def test_a_masked_class_has_probability_zero():
    value, g = value_and_grad(nn.softmax_cross_entropy)(np.array([-np.inf, 0.0, 0.0]), 1)
    assert value == pytest.approx(np.log(2))
    np.testing.assert_allclose(g, [0, -0.5, 0.5])


def test_samples_may_have_no_axis_or_several(logits):
    for loss in (nn.softmax_cross_entropy, nn.multiclass_hinge):
        rows = [loss(z, int(y)) for z, y in zip(logits, LABELS, strict=True)]
        assert loss(logits, LABELS) == pytest.approx(np.mean(rows))
        assert loss(logits.reshape(2, 3, K), LABELS.reshape(2, 3)) == pytest.approx(np.mean(rows))
        g = grad(loss)(logits.reshape(2, 3, K), LABELS.reshape(2, 3))
        np.testing.assert_allclose(g.reshape(N, K), grad(loss)(logits, LABELS))


# --- hinge ---------------------------------------------------------------------------------------


def hinge_by_loops(scores, labels):
    total = 0.0
    for row, label in zip(scores, labels, strict=True):
        for j, score in enumerate(row):
            if j != label:
                total += max(0.0, 1 + score - row[label])
    return total / len(labels)


@pytest.mark.parametrize("labels", [LABELS, ONE_HOT, ONE_HOT.astype(bool), LABELS.astype(np.uint8)])
def test_hinge_sums_over_the_wrong_classes(logits, labels):
    assert nn.multiclass_hinge(logits, labels) == pytest.approx(hinge_by_loops(logits, LABELS))


def test_gradient_of_hinge_counts_the_violated_margins():
    scores = np.array([[2.0, 1.5, 1.25, 0.0], [0.0, 0.0, 0.0, 5.0]])
    g = grad(nn.multiclass_hinge)(scores, np.array([0, 3]))
    np.testing.assert_array_equal(g, [[-1, 0.5, 0.5, 0], [0, 0, 0, 0]])


def test_hinge_has_derivative_zero_at_its_corner():
    value, g = value_and_grad(nn.multiclass_hinge)(np.array([[1.0, 0.0]]), np.array([0]))
    assert value == 0
    np.testing.assert_array_equal(g, [[0, 0]])


# --- sigmoid cross-entropy -----------------------------------------------------------------------


def test_sigmoid_cross_entropy_is_minus_the_mean_log_probability(rng):
    z, t = rng.normal(size=(5, 2)), rng.uniform(size=(5, 2))
    p = nn.sigmoid(z)
    value, g = value_and_grad(nn.sigmoid_cross_entropy)(z, t)
    assert value == pytest.approx(-np.mean(t * np.log(p) + (1 - t) * np.log(1 - p)))
    np.testing.assert_allclose(g, (p - t) / 10, rtol=1e-13)


def test_sigmoid_cross_entropy_does_not_overflow():
    z, t = np.array([-1e4, -1e4, 0.0, 1e4, 1e4]), np.array([0, 1, 1, 0, 1])
    value, g = value_and_grad(nn.sigmoid_cross_entropy)(z, t)
    assert value == pytest.approx((2e4 + np.log(2)) / 5)
    np.testing.assert_allclose(g, np.array([0, -1, -0.5, 1, 0]) / 5)


# --- all of them ---------------------------------------------------------------------------------

TARGETS = [
    (nn.mean_squared_error, ONE_HOT),
    (nn.half_squared_error, ONE_HOT),
    (nn.softmax_cross_entropy, LABELS),
    (nn.softmax_cross_entropy, ONE_HOT),
    (nn.multiclass_hinge, LABELS),
    (nn.sigmoid_cross_entropy, ONE_HOT),
]


@pytest.mark.parametrize(("loss", "targets"), TARGETS)
def test_second_derivatives(loss, targets, logits):
    check_grads(lambda z: loss(z, targets), (logits,))


@pytest.mark.parametrize(("loss", "targets"), TARGETS)
def test_vmap_gives_the_gradient_of_each_sample(loss, targets, logits):
    expected = [grad(loss)(z, t) for z, t in zip(logits, targets, strict=True)]
    np.testing.assert_allclose(vmap(grad(loss))(logits, targets), expected, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize(("loss", "targets"), TARGETS)
def test_float32_is_kept_with_targets_of_any_dtype(loss, targets, logits):
    value, g = value_and_grad(loss)(logits.astype(np.float32), targets)
    assert (value.dtype, g.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize(("loss", "targets"), TARGETS)
def test_targets_may_be_lists_and_are_not_changed(loss, targets, logits):
    before = targets.copy()
    assert loss(logits, targets.tolist()) == loss(logits, targets)
    np.testing.assert_array_equal(targets, before)


# --- errors --------------------------------------------------------------------------------------

CLASSIFY = pytest.mark.parametrize("loss", [nn.softmax_cross_entropy, nn.multiclass_hinge])


@CLASSIFY
@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 4, 0], [0, -1, 0, 4, 0, 0]])
def test_labels_out_of_range_name_what_came(loss, labels, logits):
    expected = f"{loss.__name__} needs labels from 0 to 3, but got {min(labels)} to 4."
    with pytest.raises(ArgumentError, match=expected):
        grad(loss)(logits, np.array(labels))


@CLASSIFY
@pytest.mark.parametrize("dtype", [float, bool, str])
def test_classes_are_integers(loss, dtype, logits):
    labels = LABELS.astype(dtype)
    with pytest.raises(ArgumentError, match=f"integer dtype, but got {labels.dtype}"):
        loss(logits, labels)


@CLASSIFY
@pytest.mark.parametrize("shape", [(N + 1,), (N, 1), (), (N, K + 1)])
def test_labels_of_a_wrong_shape_name_what_came(loss, shape, logits):
    with pytest.raises(ShapeError) as raised:
        loss(logits, np.zeros(shape, int))
    assert "labels of shape (6,) (classes) or (6, 4) (one-hot)" in str(raised.value)
    assert f"but got {shape}" in str(raised.value)


@CLASSIFY
@pytest.mark.parametrize("shape", [(), (3, 0)])
def test_logits_need_an_axis_of_classes(loss, shape):
    with pytest.raises(ShapeError, match="needs logits of shape"):
        loss(np.zeros(shape), np.zeros(shape[:-1], int))


@pytest.mark.parametrize("rows", [0.5 * ONE_HOT, 1 - ONE_HOT, nn.softmax(ONE_HOT)])
def test_hinge_refuses_rows_that_are_not_one_hot(rows, logits):
    with pytest.raises(ArgumentError, match="one-hot"):
        nn.multiclass_hinge(logits, rows)


@pytest.mark.parametrize("labels", [[-1, 1], [0, 2], [0, np.nan]])
def test_binary_labels_lie_between_zero_and_one(labels):
    with pytest.raises(ArgumentError, match="labels from 0 to 1"):
        nn.sigmoid_cross_entropy(np.zeros(2), np.array(labels))
