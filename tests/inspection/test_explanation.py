"""explain: the first NaN, where gradients died, what was widened, each with the guilty line."""

import numpy as np
import pytest

from funcgrad import checkpoint, custom_vjp, explain, grad, implicit, nn, stop_gradient, vmap
from funcgrad.inspection.ranges import measure


def found(report, kind):
    """Return the findings of a kind as (severity, operation, source of the line)."""
    return [
        (f.severity, f.operation and f.operation.name, f.where and f.where.source)
        for f in report.findings
        if f.kind == kind
    ]


def kinds(report):
    return {finding.kind for finding in report.findings}


# --- the worked cases ----------------------------------------------------------------------------


def safe_log(x):
    logs = np.log(x)
    return np.sum(np.where(x > 0, logs, 0))


def test_the_logarithm_in_a_dead_branch_is_named():
    report = explain(safe_log)(np.array([0.0, 1.0]))
    line = "logs = np.log(x)"
    assert found(report, "infinity") == [("note", "log", line)]  # in the values
    assert found(report, "nan") == [("warning", "log", line)]  # 0 / 0, in the backward pass
    assert "zero stays zero: the gradient is finite" in str(report)
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(grad(safe_log)(np.array([0.0, 1.0])), [0, 1])


def norm(x):
    square = np.sum(x**2)
    return np.sqrt(square)


def test_the_root_of_a_norm_at_zero_is_named():
    report = explain(norm)(np.zeros(3))
    assert found(report, "infinity") == [("warning", "sqrt", "return np.sqrt(square)")]
    assert found(report, "nan") == [("warning", "pow", "square = np.sum(x**2)")]
    assert found(report, "zero gradient") == [("warning", "pow", "square = np.sum(x**2)")]


def rnn(w, xs):
    h = np.zeros(4)
    for x in xs:
        h = h @ w
        h = h + x
    return np.sum(h)


def test_the_product_of_an_exploding_network_is_named():
    report = explain(rnn, argnums=0)(3 * np.eye(4), np.ones((50, 4)))
    assert found(report, "exploding") == [("warning", "matmul", "h = h @ w")]
    assert "passed 49 times, a factor of 2.39e+23 in all" in str(report)  # 3 ** 49
    report = explain(rnn, argnums=0)(0.1 * np.eye(4), np.ones((50, 4)))
    assert "exploding" not in kinds(report)


def test_the_product_that_overflows_is_named():
    report = explain(rnn, argnums=0)(1e3 * np.eye(4), np.ones((150, 4)))
    assert found(report, "infinity")[0] == ("error", "matmul", "h = h @ w")


def network(params, x):
    for w, b in params:
        x = x @ w + b
        x = np.maximum(x, 0)
    return np.sum(x)


def dead_network(rng, bias):
    sizes = [(3, 5), (5, 5), (5, 2)]
    params = [(rng.uniform(0.1, 1.0, size), np.ones(size[1])) for size in sizes]
    return [params[0], (params[1][0], bias), params[2]]


def test_the_dead_relu_is_named(rng):
    report = explain(network, argnums=0)(dead_network(rng, np.full(5, -100.0)), np.ones((10, 3)))
    first, second = [f for f in report.findings if f.kind == "zero gradient"]
    assert "params[0][0], params[0][1], params[1][0] and 1 more" in first.message
    assert "a saturated ReLU" in first.message
    assert first.where.source == "x = np.maximum(x, 0)"
    assert "params[2][0]" in second.message  # the weights that meet the zeros
    assert "whose other argument %6 is zero" in second.message


def test_units_that_are_dead_are_counted(rng):
    bias = np.array([-100.0, -100.0, -100.0, 1.0, 1.0])
    report = explain(network, argnums=0)(dead_network(rng, bias), np.ones((10, 3)))
    (finding,) = [f for f in report.findings if f.kind == "zero gradient"]
    assert finding.severity == "note"
    assert "flat for 3 of 5 columns" in finding.message
    assert finding.where.source == "x = np.maximum(x, 0)"


def narrow(params, x):
    h = np.tanh(x @ params["w"])
    h = h * np.linspace(0, 1, 5)
    return np.mean(h)


def test_the_wide_constant_is_named(rng):
    w, x = rng.normal(size=(3, 5)).astype(np.float32), rng.normal(size=(10, 3)).astype(np.float32)
    report = explain(narrow)({"w": w}, x)
    assert found(report, "dtype") == [("warning", "multiply", "h = h * np.linspace(0, 1, 5)")]
    (finding,) = report.findings
    assert finding.message == "`multiply` widens float32 to float64: the constant is float64[5]."


# --- NaN and infinity ----------------------------------------------------------------------------


def test_the_first_nan_of_the_values_is_an_error():
    def f(x):
        y = x - 2
        z = np.sqrt(y)
        return np.sum(z + np.log(z))

    report = explain(f)(np.array([1.0, 6.0]))
    assert found(report, "nan")[0] == ("error", "sqrt", "z = np.sqrt(y)")
    assert "in 1 of 2 entries: %2 = sqrt(%1) = 2, nan (1 of 2), from %1 = -1 to 4." in str(report)


def test_a_nan_that_came_in_is_not_blamed_on_an_operation():
    report = explain(np.sum)(np.array([np.nan, 1.0]))
    assert [f.message for f in report.findings] == [
        "the input a has a NaN before anything is computed."
    ]
    report = explain(lambda x: np.sum(np.maximum(x, -np.inf)))(np.ones(3))  # a mask, say
    assert "infinity" not in kinds(report)


def test_a_derivative_that_is_infinite_is_an_error():
    report = explain(lambda x: np.sum(np.sqrt(x)))(np.zeros(2))
    assert [f.severity for f in report.findings if f.kind == "infinity"] == ["error"]


def test_a_rule_of_the_users_that_makes_a_nan_is_named():
    @custom_vjp
    def f(x):
        return x

    f.defvjp(lambda x: (x, None), lambda _, ct: (ct * np.nan,))
    report = explain(lambda x: f(x) * 2)(1.0)
    assert found(report, "nan")[0][:2] == ("error", "custom_vjp(f)")


# --- zeros ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fun", "operation", "why"),
    [
        (lambda x: np.sum(stop_gradient(x)), "stop_gradient", "constant"),
        (lambda x: np.sum(x.astype(int)), "astype", "int64"),
        (lambda x: np.sum(np.floor(x) * x.size), "floor", "piecewise constant"),
        (lambda x: np.sum(np.where(x < 9, 1.0, x)), "where", "third argument"),
        (lambda x: np.sum(np.where(x > 9, x, 1.0)), "where", "second argument"),
        (lambda x: np.sum(np.maximum(np.sin(x), 5.0)), "maximum", "5.0 is larger"),
        (lambda x: np.sum(np.clip(x, -2.0, -1.0)), "minimum", "-1.0 is smaller"),
        (lambda x: np.sum(np.exp(x * 0.0)), "multiply", "0.0 is zero"),
        (lambda x: np.sum(np.tanh(x + 50.0)), "tanh", "its argument is 51 to 53"),
    ],
)
def test_where_a_gradient_died(fun, operation, why):
    (finding,) = [
        f for f in explain(fun)(np.array([1.0, 2.0, 3.0])).findings if f.severity == "warning"
    ]
    assert (finding.kind, finding.operation.name) == ("zero gradient", operation)
    assert why in finding.message


def test_an_argument_that_nothing_depends_on():
    (finding,) = explain(lambda a, b: a * 2)(1.0, 2.0).findings
    assert (
        finding.message
        == "the gradient of b is exactly zero: nothing that is returned depends on it."
    )
    (finding,) = explain(lambda a: 3.0)(1.0).findings
    assert "nothing that is returned" in finding.message


def written_over(x):
    y = x * 2.0
    y[:] = 1.0
    return y.sum()


@pytest.mark.parametrize(
    ("fun", "x", "why"),
    [
        (lambda x: np.sum(x - x), 2.0, "died in `subtract`, whose cotangent for x cancels others"),
        (written_over, np.ones(3), "died in `put`, which writes over it"),
        (
            lambda x: np.sum(np.sin(x[:1] * 0.0)),
            np.ones(3),
            "died in `multiply`, whose other argument 0.0",
        ),
    ],
)
def test_zeros_of_other_kinds(fun, x, why):
    (finding,) = explain(fun)(x).findings
    assert why in finding.message


def test_weights_that_start_at_zero_are_named():
    def f(params, x):
        return np.sum(np.tanh(x @ params["first"]) @ params["second"])

    params = {"first": np.ones((2, 3)), "second": np.zeros((3, 1))}
    (finding,) = explain(f, argnums=0)(params, np.ones((4, 2))).findings
    assert finding.message == (
        "the gradient of params['first'] is exactly zero: it died in `matmul`, "
        "whose other argument params['second'] is zero."
    )


def test_a_loss_at_its_minimum_does_not_vanish():
    report = explain(lambda x: np.sum((x - 1.0) ** 2))(np.full(3, 1 + 1e-12))
    assert report.findings == ()


def test_a_path_that_lives_is_not_called_dead():
    assert explain(lambda x: x * stop_gradient(x))(2.0).findings == ()


def test_underflow_is_told():
    def f(x):
        for _ in range(2000):
            x = x * 0.5
        return x

    (finding,) = explain(f)(1.0).findings
    assert "where it underflows" in finding.message


def test_vanishing_gradients_are_told():
    def f(x):
        for _ in range(100):
            x = x * 0.5 + 0.5
        return x

    assert found(explain(f)(1.0), "vanishing") == [("warning", "multiply", "x = x * 0.5 + 0.5")]


# --- dtypes, shapes, kinks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fun", "guilty"),
    [
        (lambda x: np.sum(x * np.float64(2)), "the constant 2.0 is float64."),
        (lambda x: np.sum(x * np.arange(3)), "the constant is int64[3]."),
        (lambda x: np.sum(x, dtype=np.float64), "its dtype says so."),
        (lambda x: np.sum(x.astype(float)), "its dtype says so."),
    ],
)
def test_what_widens(fun, guilty):
    (finding,) = explain(fun)(np.ones(3, np.float32)).findings
    assert finding.kind == "dtype"
    assert finding.message.endswith(f"widens float32 to float64: {guilty}")


def test_an_input_that_widens_is_named():
    report = explain(lambda x, scale: np.sum(x * scale))(np.ones(3, np.float32), np.ones(3))
    assert "the traced value scale is float64[3]" in report.findings[0].message


def test_python_numbers_do_not_widen():
    assert explain(lambda x: np.sum(2.0 * x + 1))(np.ones(3, np.float32)).findings == ()


def test_a_large_broadcast_is_told():
    (finding,) = explain(lambda x, y: np.sum(x[:, None] - y))(np.ones(500), np.zeros(500)).findings
    assert finding.kind == "broadcast"
    assert "(500, 1) and (500,) to (500, 500), 2 MB" in finding.message


@pytest.mark.parametrize(
    ("fun", "x", "kind", "operation"),
    [
        (lambda x: np.sum(np.abs(x)), [0.0, 1.0], "kink", "absolute"),
        (lambda x: np.sum(np.maximum(x, 1.0)), [0.0, 1.0], "kink", "maximum"),
        (lambda x: np.max(x), [1.0, 1.0], "kink", "max"),  # noqa: PLW0108
        (lambda x: np.sum(nn.relu(x)), [0.0, 1.0], "step", "less_equal"),
        (lambda x: np.sum(1 / x), [1e-7, 1.0], "singularity", "divide"),
        (lambda x: np.sum(np.log(x)), [1e-9, 1.0], "singularity", "log"),
    ],
)
def test_kinks_and_singular_points(fun, x, kind, operation):
    report = explain(fun)(np.array(x))
    assert [entry[1] for entry in found(report, kind)] == [operation]


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: np.sum(np.maximum(x, x)),
        lambda x: np.sum(nn.softmax(x)[0]),  # its maximum is a constant
        lambda x: np.sum(x**2),
        lambda x: np.sum(x / 2.0),
    ],
)
def test_smooth_functions_have_no_kinks(fun):
    assert not kinds(explain(fun)(np.array([1.0, 1.0]))) & {"kink", "singularity"}


# --- the report ----------------------------------------------------------------------------------


def test_ranges_of_values_and_cotangents():
    report = explain(lambda x: np.sum(x**2 * 3.0))(np.array([1.0, -2.0]))
    power, product, total = report.operations
    assert (power.values.low, power.values.high) == (1, 4)
    assert (power.cotangents.low, power.cotangents.high) == (3, 3)
    assert (total.values.high, total.cotangents.high) == (15, 1)
    assert product.cotangents.magnitude == 1
    (gradient,) = report.gradients
    assert (gradient.name, gradient.gradient.low, gradient.gradient.high) == ("x", -12, 6)


def test_an_output_that_is_no_scalar_is_summed_and_it_is_said():
    report = explain(lambda x: x**2)(np.array([1.0, 2.0]))
    assert "the output is no scalar ((2,)): the gradient of the sum of all its entries" in str(
        report
    )
    assert report.gradients[0].gradient.high == 4
    report = explain(lambda x: {"a": x * 2, "b": x * 3})(1.0)
    assert report.gradients[0].gradient.high == 5


def test_a_sound_function_has_nothing_to_report():
    assert "nothing to report" in str(explain(lambda x: np.sum(np.sin(x)))(np.ones(3)))


def test_colours_at_a_terminal_only(monkeypatch):
    report = explain(norm)(np.zeros(3))
    assert "\x1b[" not in repr(report)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "\x1b[33mwarning:\x1b[0m" in repr(report)
    assert "\x1b[" not in str(report)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in repr(report)


def test_html_has_tables():
    text = explain(lambda x: norm(x))(np.zeros(3))._repr_html_()  # noqa: PLW0108
    assert text.count("<table>") == 2
    assert "&lt;lambda&gt;" in text


def test_a_long_program_is_abridged():
    def f(x):
        for _ in range(5000):
            x = np.sin(x)
        return x

    report = explain(f)(1.0)
    assert len(report.operations) == 5000
    assert "4,970 more" in repr(report)
    assert len(report.text(None).splitlines()) > 5000


def test_numpy_does_not_warn_of_what_is_in_the_report():
    explain(lambda x: np.log(x) + np.sqrt(-x))(np.array([0.0, 1.0]))  # warnings are errors here


@pytest.mark.parametrize(
    ("fun", "x"),
    [
        (vmap(lambda r: np.tanh(r) @ r), np.ones((3, 2))),
        (checkpoint(lambda x: np.sin(x) * x), 0.5),
        (lambda x: np.sum(np.abs(x) ** 2), np.array([1 + 2j])),
        (lambda x: np.sum(x * 2), np.ones((0, 3))),
        (lambda x: grad(lambda y: y**3 * x)(2.0), 1.5),
        (lambda a: implicit.root(lambda x, a: x - a, lambda g, x: x - g(x))(0.0, a), 2.0),
        (lambda x: np.linalg.svd(x)[1].sum(), np.array([[1.0, 2.0], [0.0, 3.0]])),
    ],
)
def test_what_may_come(fun, x):
    report = explain(fun)(x)
    assert not [f for f in report.findings if f.severity != "note"]
    assert report.operations[-1].cotangents is not None


def test_explain_inside_a_transform():
    seen = []

    def f(x):
        seen.append(explain(lambda y: np.sum(y * x))(np.ones(2)))
        return np.sum(x * 3)

    assert grad(f)(2.0) == 3
    assert seen[0].gradients[0].gradient.high == 2


def test_writes_are_looked_at_entry_by_entry():
    def f(x):
        y = np.zeros_like(x)
        for i in range(3):
            y[i] = 1 / (x[i] - 1)
        return y.sum()

    report = explain(f)(np.arange(3.0))
    assert found(report, "infinity")[0] == ("error", "divide", "y[i] = 1 / (x[i] - 1)")


def test_measure():
    assert str(measure(np.array([1.0, -2.0]))) == "-2 to 1"
    assert (
        str(measure(np.array([np.inf, -np.inf, np.nan, 1.0]))) == "1, +-inf (2 of 4), nan (1 of 4)"
    )
    assert str(measure(np.array([-np.inf]))) == "-inf"
    assert str(measure(np.zeros((0, 2)))) == "empty"
    assert measure([np.zeros(2), np.ones(3)]).zeros == 2
    assert measure(np.array([3 + 4j])).high == 5
