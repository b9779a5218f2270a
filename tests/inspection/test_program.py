"""make_tape: the program that a tape holds, with names, types, bytes and source lines."""

import dataclasses
import inspect
import pickle
import threading

import numpy as np
import pytest

from funcgrad import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    explain,
    grad,
    implicit,
    jvp,
    make_tape,
    nn,
    stop_gradient,
    vjp,
    vmap,
)
from funcgrad.backward import each_edge
from funcgrad.errors import ArgumentError, FuncgradError, NonDifferentiableError
from funcgrad.inspection.recorder import Recorder
from funcgrad.inspection.recording import Inspection, Recording
from funcgrad.reverse import Tape
from tests.samples import SAMPLES

X = np.array([1.0, 2.0, 3.0])


def names(tape):
    return [operation.name for operation in tape]


def lines(tape):
    return [operation.where.source for operation in tape]


@dataclasses.dataclass
class Layer:
    w: np.ndarray
    b: np.ndarray


def loss(params, x):
    h = np.tanh(x @ params[0].w + params[0].b)
    return np.sum(h**2)


PARAMS = [Layer(np.ones((3, 2)), np.zeros(2))]


def test_there_is_an_operation_per_record():
    tape = make_tape(loss, argnums=0)(PARAMS, np.ones((5, 3)))
    assert names(tape) == ["matmul", "add", "tanh", "pow", "sum"]
    assert len(tape) == 5
    assert tape[0] is tape.operations[0]
    assert tape[:2] == tape.operations[:2]


def test_inputs_are_named_by_argument_and_path():
    tape = make_tape(loss)(PARAMS, np.ones((5, 3)))
    assert [x.name for x in tape.inputs] == ["params[0].w", "params[0].b", "x"]
    (tape,) = [make_tape(lambda p: p["w"][0] * 2)({"w": (1.0,)})]
    assert [x.name for x in tape.inputs] == ["p['w'][0]"]


def test_an_operation_tells_arguments_settings_and_type():
    tape = make_tape(loss, argnums=0)(PARAMS, np.ones((5, 3), np.float32))
    assert str(tape[0]) == "%1 = matmul(x, params[0].w)"
    assert tape[0].arguments[0].type == "float32[5,3]"
    assert tape[0].output.type == "float64[5,2]"
    assert str(tape[3]) == "%4 = pow(%3, 2)"
    assert tape[4].settings == {"axes": (0, 1), "keepdims": False}
    assert (tape[4].output.shape, tape[4].output.dtype) == ((), np.float64)


def test_an_index_reads_as_in_the_program():
    tape = make_tape(lambda x: x[0] + x[1:3] + x[..., None] + x[[0, 2], None][:, 0][:2])(X)
    shown = [o.expression() for o in tape if o.name == "getitem"]
    assert shown[:3] == [
        "getitem(x, index=[0])",
        "getitem(x, index=[1:3])",
        "getitem(x, index=[..., None])",
    ]
    assert "index=[int64[2], None]" in shown[3]


def test_an_operation_knows_its_line():
    first = inspect.getsourcelines(loss)[1]
    tape = make_tape(loss, argnums=0)(PARAMS, np.ones((5, 3)))
    assert [str(operation.where) for operation in tape] == [
        *[f"test_program.py:{first + 1}"] * 3,
        *[f"test_program.py:{first + 2}"] * 2,
    ]
    assert lines(tape)[-1] == "return np.sum(h**2)"
    assert tape[0].where.function == "loss"
    assert (
        tape[0]
        .where.describe()
        .endswith(f"{first + 1} in loss: h = np.tanh(x @ params[0].w + params[0].b)")
    )


def test_a_program_without_source_has_line_numbers():
    space = {"np": np, "__name__": "elsewhere"}
    exec(compile("def f(x):\n    return np.sin(x)\n", "<stdin>", "exec"), space)
    (operation,) = make_tape(space["f"])(1.0)
    assert (str(operation.where), operation.where.source) == ("<stdin>:2", "")


def test_a_numpy_function_itself_stands_where_it_was_asked_for():
    (operation,) = make_tape(np.sin)(1.0)
    assert operation.where.source == "(operation,) = make_tape(np.sin)(1.0)"


def test_operations_on_plain_values_are_not_in_it():
    tape = make_tape(lambda x: x * np.sum(np.arange(3.0)) + (x > 0))(X)
    assert names(tape) == ["multiply", "add"]


def test_the_inner_backward_pass_shows_as_operations():
    assert names(make_tape(grad(np.sin))(0.5)) == ["sin", "cos", "multiply"]
    assert names(make_tape(lambda x: jvp(np.sin, (x,), (1.0,))[1])(0.5)) == [
        "sin",
        "cos",
        "multiply",
    ]
    assert "cos" in names(make_tape(lambda x: vjp(np.sin, x)[1](np.ones(3))[0])(X))


def test_a_mapped_function_shows_its_operations_on_the_batch():
    (operation,) = make_tape(vmap(np.tanh))(np.ones((4, 2)))
    assert operation.output.shape == (4, 2)
    tape = make_tape(vmap(lambda x: x @ x))(np.ones((4, 2)))
    assert "matmul" in names(tape)


def test_functions_with_rules_of_their_own_are_one_operation():
    @custom_vjp
    def double(x):
        return 2 * x

    double.defvjp(lambda x: (2 * x, None), lambda _, ct: (2 * ct,))

    @custom_jvp
    def triple(x):
        return 3 * x

    triple.defjvp(lambda p, t: (3 * p[0], 3 * t[0]))

    def newton(g, x):
        return x - g(x) / 2 if abs(g(x)) > 0 else x

    root = implicit.root(lambda x, a: 2 * x - a, newton)
    tape = make_tape(lambda x: root(0.0, triple(double(checkpoint(np.sin)(x)))))(0.5)
    assert names(tape) == [
        "checkpoint(sin)",
        "custom_vjp(double)",
        "custom_jvp(triple)",
        "implicit(root of <lambda>)",
    ]


def test_several_outputs_of_an_operation_have_letters():
    def f(x):
        q, r = np.linalg.qr(x)
        return q @ r

    *_, qr, matmul = make_tape(f)(np.eye(2))
    assert [str(x) for x in qr.outputs] == ["%2a", "%2b"]
    assert str(matmul) == "%3 = matmul(%2a, %2b)"


def test_views_and_writes_are_marked():
    def f(x):
        y = np.zeros_like(x)
        y[0] = x[1]
        row = y[1:]
        row += x[:2]
        np.multiply(y, 2.0, out=y)
        return y

    tape = make_tape(f)(X)
    marks = {(o.name, o.view, o.in_place) for o in tape}
    assert ("constant", False, False) in marks
    assert ("put", False, True) in marks
    assert ("add", False, True) in marks
    assert ("multiply", False, True) in marks
    assert ("getitem", True, False) in marks
    value = Recording(Inspection(f, None, None), (X,), {}, None).values()[0]
    np.testing.assert_array_equal(value, f(X))


def test_arrays_of_other_arguments_are_known_by_name():
    labels = np.arange(3)
    tape = make_tape(lambda x, data: x * data["labels"] * np.ones(3))(X, {"labels": labels})
    assert [str(x) for x in tape[0].arguments] == ["x", "data['labels']"]
    assert str(tape[1].arguments[1]) == "float64[3]"


def test_only_floating_point_arguments_are_inputs():
    tape = make_tape(lambda n, x, mode: x * n)(3, X, "mean")
    assert [x.name for x in tape.inputs] == ["x"]
    assert [x.name for x in make_tape(lambda a, b: a * b, argnums=1)(1.0, 2.0).inputs] == ["b"]
    assert [x.name for x in make_tape(lambda a, b: a * b, argnames="a")(1.0, b=2.0).inputs] == ["a"]
    with pytest.raises(ArgumentError, match="no argument of floating-point numbers"):
        make_tape(lambda n: n)(3)
    with pytest.raises(NonDifferentiableError):
        make_tape(lambda n: n, argnums=0)(3)


def test_outputs_are_named_by_path():
    tape = make_tape(lambda x: {"loss": x * 2, "n": 3})(1.0)
    assert [(path, str(x)) for path, x in tape.outputs] == [("['loss']", "%1"), ("['n']", "3")]


# --- bytes ---------------------------------------------------------------------------------------


def test_a_shared_array_counts_once():
    tape = make_tape(lambda x: np.tanh(x) ** 2)(np.ones(1000))
    assert [operation.kept for operation in tape] == [8000, 0]  # both keep the result of tanh
    assert tape.kept == 8000
    assert make_tape(lambda x: x + x)(np.ones(1000)).kept == 0


def kept_by_an_ordinary_tape(fun, args):
    inputs = Recording(Inspection(fun, None, None), args, {}, None).inputs
    tape = Tape()
    inputs.call(fun, [tape.input(np.array(x)[()]) for x in inputs.values])
    counter = Recorder()
    return sum([counter.count(kept) for _, _, _, kept, _ in each_edge(tape.edges)])


def test_as_many_bytes_are_kept_as_without_looking():
    tried = 0
    for sample in SAMPLES[::5]:
        if sample.raises or sample.constant:
            continue
        try:
            expected = kept_by_an_ordinary_tape(sample, sample.args)
        except (FuncgradError, TypeError):
            continue
        assert make_tape(sample)(*sample.args).kept == expected, sample.name
        tried += 1
    assert tried > 200


@pytest.mark.parametrize("size", [10, 5000])
def test_a_relu_keeps_what_it_keeps_without_looking(size):
    for relu in (nn.relu, lambda x: np.maximum(x, 0), lambda x: np.minimum(1.5, x)):
        x = np.linspace(-1, 1, size) + 0.01
        assert make_tape(relu)(x).kept == kept_by_an_ordinary_tape(relu, (x,))


# --- text ----------------------------------------------------------------------------------------


def test_the_text_has_a_line_per_operation():
    text = repr(make_tape(loss, argnums=0)(PARAMS, np.ones((5, 3)))).splitlines()
    assert text[0].startswith(
        "tape of loss: 5 operations, 200 B kept (most by matmul at test_program.py:"
    )
    assert text[1].split() == ["input", "params[0].w", "float64[3,2]"]
    assert text[3].split()[:7] == [
        "%1",
        "=",
        "matmul(x,",
        "params[0].w)",
        "float64[5,2]",
        "keeps",
        "120",
    ]
    assert text[-1].split() == ["output", "%5", "float64"]


def test_a_long_program_is_abridged():
    def chain(x):
        for _ in range(25_000):
            x = x * 0.5 + 1.0
        return x

    tape = make_tape(chain)(1.0)
    assert len(tape) == 50_000
    assert len(repr(tape).splitlines()) < 110
    assert "49,900 more" in repr(tape)
    assert len(tape.text().splitlines()) == 50_003


def test_html_is_escaped():
    assert "&lt;lambda&gt;" in make_tape(lambda x: x * 2)(1.0)._repr_html_()


def test_an_empty_program_has_a_summary():
    assert make_tape(lambda x: 3.0)(1.0).summary == "tape of <lambda>: 0 operations, 0 B kept"


def test_entries_are_frozen_and_programs_pickle():
    tape = make_tape(loss, argnums=0)(PARAMS, np.ones((5, 3)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        tape[0].name = "other"
    assert repr(pickle.loads(pickle.dumps(tape))) == repr(tape)


# --- what may come -------------------------------------------------------------------------------


def test_an_exception_says_how_far_the_program_came():
    def f(x):
        y = np.sin(x)
        return y + np.ones(7)

    with pytest.raises(ValueError, match="broadcast") as error:
        make_tape(f)(X)
    note = error.value.__notes__[-1]
    assert "recorded before: 1; the last: %1 = sin(x)  float64[3]  test_program.py:" in note


@pytest.mark.parametrize("x", [np.ones((0, 3)), np.array(1j), np.float32(1), np.ones((2, 2)) * 1j])
def test_empty_complex_and_single_precision_arrays(x):
    (operation,) = make_tape(np.sin)(x)
    assert (operation.output.shape, operation.output.dtype) == (x.shape, x.dtype)


def test_methods_partial_functions_and_networks():
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    tape = make_tape(model.apply, argnums=0)(model.init(np.random.default_rng(0)), np.ones((4, 3)))
    assert names(tape) == ["affine", "relu"]
    assert [operation.call.name for operation in tape] == [
        "0: Linear(in_dim=3, out_dim=2)",
        "1: ReLU()",
    ]
    linear, relu = model.layers
    assert tape.kept == kept_by_an_ordinary_tape(
        lambda w, b: relu.apply((), linear.apply((w, b), np.ones((4, 3)))),
        (np.ones((3, 2)), np.ones(2)),
    )


def test_explain_looks_inside_of_passes_by_hand():
    report = explain(lambda x: nn.relu(x).sum())(-X)
    assert [f.operation.name for f in report.findings] == ["where"]


def test_calls_of_one_function_are_told_apart():
    def cell(h):
        return np.tanh(h)

    def f(x):
        for _ in range(3):
            x = cell(x) * 2
        return x

    tape = make_tape(f)(X)
    calls = {id(operation.call) for operation in tape if operation.name == "tanh"}
    assert len(calls) == 3
    assert tape[0].call.parent.name == "f"
    assert tape[0].call.where.source == "x = cell(x) * 2"


def test_programs_may_be_nested():
    inner = []

    def f(x):
        inner.append(make_tape(lambda y: y * x * x)(2.0))
        return np.sin(x)

    # what the inner one computes from x is the outer one's program too
    assert names(make_tape(f)(1.0)) == ["multiply", "multiply", "sin"]
    assert names(inner[0]) == ["multiply", "multiply"]


def test_threads_record_at_once():
    found = [None] * 4

    def work(k):
        def f(x):
            for _ in range(100 * (k + 1)):
                x = x * 2.0
            return x

        found[k] = len(make_tape(f)(1.0))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [100, 200, 300, 400]


def test_a_cut_is_no_operation():
    assert names(make_tape(lambda x: stop_gradient(x) * x + np.floor(x))(X)) == ["multiply", "add"]


def test_it_prints_as_it_was_written():
    assert repr(make_tape(loss)) == "make_tape(loss)"
    assert repr(make_tape(loss, argnums=0)) == "make_tape(loss, argnums=0)"
