"""The losses, their gradients in closed form, and their errors."""

import functools
import warnings

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


def test_a_half_squared_error_of_more_samples_than_float16_holds():
    y, t = np.ones(70_000, np.float16), np.zeros(70_000, np.float16)
    assert nn.half_squared_error(y, t) == value_and_grad(nn.half_squared_error)(y, t)[0] == 0.5


@pytest.mark.parametrize(
    ("loss", "shape", "mean"),
    [
        (nn.mean_squared_error, (0, 3), np.nan),
        (nn.mean_squared_error, (3, 0), np.nan),
        (nn.half_squared_error, (0, 3), np.nan),
        (nn.half_squared_error, (3, 0), 0.0),  # three samples of no entries
    ],
)
def test_a_squared_error_of_no_entries_has_a_gradient_of_none(loss, shape, mean):
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the mean of no entries
        value, g = value_and_grad(loss)(np.ones(shape), np.ones(shape))
    np.testing.assert_array_equal(value, mean)
    assert g.shape == shape


@pytest.mark.parametrize("loss", [nn.mean_squared_error, nn.half_squared_error])
def test_targets_may_be_traced_and_predictions_plain(loss, rng):
    y, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    np.testing.assert_allclose(grad(loss, argnums=1)(y, t), -grad(loss)(y, t))
    # Integer data in the place of the predictions does not round a traced target.
    np.testing.assert_allclose(
        grad(loss, argnums=1)(np.ones((5, 3), int), t), -grad(loss)(1 - t, 0 * t)
    )


@pytest.mark.parametrize(
    "loss",
    [
        nn.mean_squared_error,
        nn.half_squared_error,
        nn.mean_absolute_error,
        nn.huber,
        nn.sigmoid_cross_entropy,
        nn.multilabel_hinge,
        nn.kl_divergence,
        nn.cosine_distance,
    ],
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


def smoothed(loss):
    return functools.partial(loss, label_smoothing=0.1)


def pairs_of(loss):
    """Compare the rows of z with those moved by one, so that every loss has an argument and targets."""

    def of_rows(z, targets, **options):
        return loss(
            np.asarray(z) if isinstance(z, list) else z, 0.9 * z[..., ::-1], targets, **options
        )

    return of_rows


TARGETS = [
    (nn.mean_squared_error, ONE_HOT),
    (nn.half_squared_error, ONE_HOT),
    (nn.softmax_cross_entropy, LABELS),
    (nn.softmax_cross_entropy, ONE_HOT),
    (nn.multiclass_hinge, LABELS),
    (nn.sigmoid_cross_entropy, ONE_HOT),
    (nn.mean_absolute_error, ONE_HOT),
    (nn.huber, ONE_HOT),
    (nn.multilabel_hinge, np.maximum(ONE_HOT, np.eye(K)[LABELS[::-1]])),
    (nn.kl_divergence, nn.softmax(ONE_HOT)),
    (nn.cosine_distance, ONE_HOT),
    (smoothed(nn.softmax_cross_entropy), LABELS),
    (smoothed(nn.softmax_cross_entropy), ONE_HOT),
    (smoothed(nn.sigmoid_cross_entropy), ONE_HOT),
    (pairs_of(nn.contrastive), LABELS % 2),
    (pairs_of(nn.triplet), ONE_HOT),
]


@pytest.mark.parametrize(("loss", "targets"), TARGETS)
def test_second_derivatives(loss, targets, logits):
    check_grads(lambda z: loss(z, targets), (logits,))


@pytest.mark.parametrize(("loss", "targets"), TARGETS)
def test_vmap_gives_the_gradient_of_each_sample(loss, targets, logits):
    expected = [grad(loss)(z, t) for z, t in zip(logits, targets, strict=True)]
    np.testing.assert_allclose(vmap(grad(loss))(logits, targets), expected, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize(("loss", "targets"), TARGETS)
def test_the_mean_and_the_sum_are_those_of_the_losses(loss, targets, logits):
    each = loss(logits, targets, reduction="none")
    total = loss(logits, targets, reduction="sum")
    assert total == pytest.approx(each.sum())
    assert loss(logits, targets) == pytest.approx(total / len(each.reshape(-1)))
    check_grads(lambda z: loss(z, targets, reduction="none"), (logits,))
    by_sum = grad(lambda z: loss(z, targets, reduction="none").sum())(logits)
    np.testing.assert_allclose(by_sum, grad(loss)(logits, targets) * len(each.reshape(-1)))
    with pytest.raises(ArgumentError, match="reduction is one of 'mean', 'sum', 'none', but got"):
        loss(logits, targets, reduction="average")


@pytest.mark.parametrize(("loss", "targets"), TARGETS)
def test_float32_is_kept_with_targets_of_any_dtype(loss, targets, logits):
    value, g = value_and_grad(loss)(logits.astype(np.float32), targets)
    assert (value.dtype, g.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize(("loss", "targets"), TARGETS)
def test_float32_is_kept_with_mapped_targets_of_any_dtype(loss, targets, logits):
    value, g = vmap(value_and_grad(loss))(logits.astype(np.float32)[None], targets[None])
    assert (value.dtype, g.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize(("loss", "targets"), TARGETS)
def test_targets_may_be_lists_and_are_not_changed(loss, targets, logits):
    before = targets.copy()
    assert loss(logits, targets.tolist()) == loss(logits, targets)
    np.testing.assert_array_equal(targets, before)


# --- awkward points ------------------------------------------------------------------------------


def test_smoothing_spreads_a_share_of_the_target(logits):
    soft = 0.8 * ONE_HOT + 0.2 / K
    expected = nn.softmax_cross_entropy(logits, soft)
    for labels in (LABELS, ONE_HOT):
        value, g = value_and_grad(
            lambda z, t=labels: nn.softmax_cross_entropy(z, t, label_smoothing=0.2)
        )(logits)
        assert value == pytest.approx(expected, rel=1e-14)
        np.testing.assert_allclose(g, (nn.softmax(logits) - soft) / N, atol=1e-15)
    t = np.array([0, 1])
    z = np.array([0.5, -2.0])
    smooth = nn.sigmoid_cross_entropy(z, t, label_smoothing=0.2)
    assert smooth == pytest.approx(nn.sigmoid_cross_entropy(z, [0.1, 0.9]))


@pytest.mark.parametrize("share", [-0.1, 1, np.nan, "0.1"])
def test_the_share_of_smoothing_is_below_one(share, logits):
    for loss, targets in (
        (nn.softmax_cross_entropy, LABELS),
        (nn.sigmoid_cross_entropy, ONE_HOT),
    ):
        with pytest.raises(
            ArgumentError, match="needs label_smoothing >= 0 and label_smoothing < 1"
        ):
            loss(logits, targets, label_smoothing=share)


def test_half_squared_error_of_each_sample(rng):
    y, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    np.testing.assert_allclose(
        nn.half_squared_error(y, t, reduction="none"), ((y - t) ** 2).sum(axis=1) / 2
    )


def test_an_absolute_error_of_zero_has_derivative_zero():
    g = grad(nn.mean_absolute_error)(np.array([1.0, 2.0, 0.0]), np.array([1.0, 0.0, 1.0]))
    np.testing.assert_allclose(g, [0, 1 / 3, -1 / 3])


def test_huber_is_quadratic_within_delta_and_linear_beyond():
    y = np.array([-3.0, -2.0, -1.0, 0.0, 2.0, 5.0])
    losses = nn.huber(y, np.zeros(6), delta=2.0, reduction="none")
    np.testing.assert_allclose(losses, [4, 2, 0.5, 0, 2, 8])
    slopes = grad(lambda y: nn.huber(y, np.zeros(6), delta=2.0, reduction="sum"))(y)
    np.testing.assert_allclose(slopes, [-2, -2, -1, 0, 2, 2])
    with pytest.raises(ArgumentError, match="huber needs delta > 0"):
        nn.huber(y, y, delta=0.0)


def test_divergence_of_equal_distributions_is_zero_with_zeros_in_them():
    with np.errstate(divide="ignore"):
        log_p = np.log([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    p = np.exp(log_p)
    value, g = value_and_grad(nn.kl_divergence)(log_p, p)
    assert value == 0
    np.testing.assert_allclose(g, -p / 2)


def test_a_vector_of_zeros_is_at_distance_one_and_has_finite_derivatives():
    x, y = np.zeros((1, 3)), np.ones((1, 3))
    value, (gx, gy) = value_and_grad(nn.cosine_distance, argnums=(0, 1))(x, y)
    assert value == 1
    assert np.isfinite(gx).all()
    np.testing.assert_array_equal(gy, 0)


def test_distances_do_not_overflow_or_depend_on_length():
    x, y = np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]])
    for scale in (1e-3, 1.0, 1e100):
        assert nn.cosine_distance(scale * x, y) == pytest.approx(1 - 24 / 25)


def test_equal_vectors_have_finite_derivatives():
    x = np.ones((2, 3))
    g = grad(nn.contrastive)(x, x.copy(), np.array([0, 1]))
    np.testing.assert_array_equal(g, 0)
    g = grad(nn.triplet)(x, x.copy(), x + np.array([3.0, 0, 0]))
    np.testing.assert_array_equal(g, 0)
    assert nn.triplet(x, x, x) == 1


def test_contrastive_pushes_apart_up_to_the_margin():
    x, y = np.zeros((3, 1)), np.array([[0.25], [2.0], [2.0]])
    value, g = value_and_grad(lambda x: nn.contrastive(x, y, [0, 0, 1], reduction="sum"))(x)
    assert value == pytest.approx(0.75**2 / 2 + 0 + 2)
    np.testing.assert_allclose(g, [[0.75], [0], [-2]])
    with pytest.raises(ArgumentError, match="contrastive needs rows of 0 and 1"):
        nn.contrastive(x, y, [0, 2, 1])
    with pytest.raises(ShapeError, match="contrastive needs"):
        nn.contrastive(x, y, [0, 1])


def test_multilabel_hinge_compares_mine_with_the_others(rng):
    z, mine = rng.normal(size=5), np.array([1, 0, 1, 0, 0])
    expected = sum(
        max(0, 1 + z[j] - z[i]) for i in np.flatnonzero(mine) for j in np.flatnonzero(1 - mine)
    )
    assert nn.multilabel_hinge(z, mine) == pytest.approx(expected / 5)
    assert nn.multilabel_hinge(z, mine.astype(bool)) == pytest.approx(expected / 5)
    with pytest.raises(ArgumentError, match="rows of 0 and 1"):
        nn.multilabel_hinge(z, 2 * mine)


# --- errors --------------------------------------------------------------------------------------

CLASSIFY = pytest.mark.parametrize("loss", [nn.softmax_cross_entropy, nn.multiclass_hinge])


@CLASSIFY
@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 4, 0], [0, -1, 0, 4, 0, 0]])
def test_labels_out_of_range_name_what_came(loss, labels, logits):
    expected = f"{loss.__name__} needs labels from 0 to 3, but got {min(labels)} to 4."
    with pytest.raises(ArgumentError, match=expected):
        grad(loss)(logits, np.array(labels))


@CLASSIFY
@pytest.mark.parametrize("label", [-1, 4])
@pytest.mark.parametrize("in_axes", [(0, 0), (None, 0)])
def test_mapped_labels_out_of_range_raise(loss, label, in_axes, logits):
    labels = np.array([0, 1, 2, 3, 0, label])
    rows = logits if in_axes[0] == 0 else logits[0]
    for f in (loss, grad(loss)):
        with pytest.raises(IndexError, match="out of bounds"):
            vmap(f, in_axes)(rows, labels)


@CLASSIFY
def test_labels_are_mapped_over_shared_logits(loss, logits):
    each = [loss(logits[0], label) for label in LABELS]
    assert np.allclose(vmap(loss, (None, 0))(logits[0], LABELS), each)


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
