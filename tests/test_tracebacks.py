"""An exception that passes through a transform shows the user's frames, all of them and no others of ours."""

import bdb
import functools
import inspect
import pickle
import threading
import traceback
from pathlib import Path

import numpy as np
import pytest

import funcgrad
from funcgrad import (
    arguments,
    checkpoint,
    custom_jvp,
    custom_vjp,
    full_tracebacks,
    grad,
    hessian,
    hvp,
    implicit,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    testing,
    value_and_grad,
    vjp,
    vmap,
)
from funcgrad.errors import ArgumentError, NonDifferentiableError
from funcgrad.tracebacks import without_own_frames

X = np.array([1.0, 2.0, 3.0])
PACKAGE = str(Path(funcgrad.__file__).parent)


class UserError(Exception):
    """Not ours."""


def failing(x):
    return inner_step(x * 2.0)


def inner_step(x):
    raise UserError("mine")


def caught(call, *args):
    with pytest.raises(BaseException) as info:  # noqa: PT011 - the caller looks at what it is
        call(*args)
    return info.value


def names(error):
    """Return the names of the functions in a traceback, from the test's helper inwards."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.name for frame in frames if frame.name != "caught"]


def own(error):
    """Return the frames of this package in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if frame.filename.startswith(PACKAGE)]


def user_rule(kind):
    """Return a function whose custom rule calls `failing`."""
    if kind == "custom_vjp":
        fun = custom_vjp(lambda x: x)
        fun.defvjp(lambda x: (x, None), lambda res, ct: (failing(ct),))
    else:
        fun = custom_jvp(lambda x: x)
        fun.defjvp(lambda primals, tangents: (primals[0], failing(tangents[0])))
    return fun


THROUGH = {
    "grad": lambda: grad(failing)(1.0),
    "value_and_grad": lambda: value_and_grad(failing)(1.0),
    "vjp": lambda: vjp(failing, X),
    "jvp": lambda: jvp(failing, (X,), (X,)),
    "linearize": lambda: linearize(failing, X),
    "vmap": lambda: vmap(failing)(X),
    "jacrev": lambda: jacrev(failing)(X),
    "jacfwd": lambda: jacfwd(failing)(X),
    "hessian": lambda: hessian(failing)(X),
    "hvp": lambda: hvp(failing, (X,), (X,)),
    "checkpoint": lambda: checkpoint(failing)(X),
    "check_grads": lambda: testing.check_grads(failing, (X,)),
    "root": lambda: implicit.root(failing, lambda f, x: f(x))(X),
    "a pullback": lambda: vjp(user_rule("custom_vjp"), X)[1](X),
    "a pushforward": lambda: linearize(user_rule("custom_vjp"), X)[1](X),
    "grad of a custom_vjp": lambda: grad(user_rule("custom_vjp"))(1.0),
    "jvp of a custom_jvp": lambda: jvp(user_rule("custom_jvp"), (X,), (X,)),
    "grad of grad": lambda: grad(grad(failing))(1.0),
    "vmap of grad": lambda: vmap(grad(failing))(X),
    "grad of vmap": lambda: grad(lambda x: vmap(failing)(x).sum())(X),
}


@pytest.mark.parametrize("call", THROUGH.values(), ids=THROUGH)
def test_the_traceback_ends_in_the_users_code_and_has_no_frame_of_ours(call):
    error = caught(call)
    assert type(error) is UserError
    assert own(error) == []
    assert names(error)[-2:] == ["failing", "inner_step"]
    with full_tracebacks():
        full = caught(call)
    assert own(full) != []
    users = [frame.name for frame in traceback.extract_tb(full.__traceback__) if not hidden(frame)]
    assert names(error) == [name for name in users if name != "caught"]


def hidden(frame):
    return frame.filename.startswith(PACKAGE) or frame.filename == "<string>"


@pytest.mark.parametrize(
    "call",
    [
        lambda: grad(3),
        lambda: vmap(X),
        lambda: grad(failing)(2),
        lambda: grad(failing, argnums=5)(2.0),
        lambda: jvp(failing, X, X),
        lambda: grad(lambda x: x)(X),
        lambda: grad(lambda x: float(x) * x)(1.0),
        lambda: vjp(np.sin, X)[1]("no"),
    ],
)
def test_errors_of_ours_come_without_our_frames_too(call):
    error = caught(call)
    assert isinstance(error, funcgrad.FuncgradError)
    assert own(error) == []
    assert names(error)[-1] == "<lambda>"


def test_every_transform_is_a_boundary():
    found = set()
    pending = [arguments.Transform]
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        if cls.__module__.startswith("funcgrad") and "__call__" in vars(cls):
            found.add(cls)
    found.remove(arguments.Transform)
    assert len(found) > 8
    for cls in found:
        assert hasattr(vars(cls)["__call__"], "__wrapped__"), cls
    for name in funcgrad.__all__:
        fun = getattr(funcgrad, name)
        if inspect.isfunction(fun) and next(iter(inspect.signature(fun).parameters), "") == "fun":
            assert hasattr(fun, "__wrapped__"), name


def test_a_boundary_keeps_name_doc_and_signature():
    assert grad.__name__ == "grad"
    assert "gradient of a scalar function" in grad.__doc__
    assert list(inspect.signature(vjp).parameters) == ["fun", "primals", "has_aux"]
    assert list(inspect.signature(grad(failing)).parameters) == ["x"]


def test_frames_of_numpy_stay():
    error = caught(grad(lambda x: np.linalg.inv(x).sum()), np.zeros((2, 2)))
    assert own(error) == []
    assert "inv" in names(error)


def test_the_environment_variable_shows_everything(monkeypatch):
    monkeypatch.setenv("FUNCGRAD_TRACEBACKS", "full")
    assert own(caught(grad(failing), 1.0)) != []
    monkeypatch.setenv("FUNCGRAD_TRACEBACKS", "filtered")
    assert own(caught(grad(failing), 1.0)) == []


def test_full_tracebacks_ends_with_its_block_even_by_an_exception():
    def block():
        with full_tracebacks(), full_tracebacks():
            grad(failing)(1.0)

    assert own(caught(block)) != []
    assert own(caught(grad(failing), 1.0)) == []


def test_full_tracebacks_holds_for_its_own_thread_only():
    found = []
    with full_tracebacks():
        thread = threading.Thread(target=lambda: found.append(own(caught(grad(failing), 1.0))))
        thread.start()
        thread.join()
    assert found == [[]]


def test_cause_context_and_notes_stay_and_lose_our_frames_too():
    def loss(x):
        try:
            grad(3)
        except ArgumentError as cause:
            cause.add_note("a note")
            try:
                float(x)
            except TypeError:
                raise UserError("mine") from cause

    error = caught(grad(loss), 1.0)
    assert isinstance(error.__cause__, ArgumentError)
    assert isinstance(error.__context__, TypeError)
    assert error.__suppress_context__
    assert error.__cause__.__notes__ == ["a note"]
    for one in (error, error.__cause__, error.__context__):
        assert names(one)[-1] == "loss"
        assert own(one) == []


def test_exception_groups_and_circles_of_exceptions_are_walked():
    def loss(x):
        errors = [caught(float, x), UserError("mine")]
        errors[0].__context__ = errors[1]
        errors[1].__context__ = errors[0]
        raise ExceptionGroup("both", errors)

    error = caught(grad(loss), 1.0)
    assert own(error) == []
    assert own(error.exceptions[0]) == []


def test_the_exception_is_the_same_object_and_a_traceback_someone_holds_is_not_changed():
    held = []

    def loss(x):
        try:
            float(x)
        except TypeError as error:
            held.extend([error, error.__traceback__])
            raise

    error = caught(grad(loss), 1.0)
    assert error is held[0]
    assert len(traceback.extract_tb(held[1])) > 1
    assert len(traceback.extract_tb(without_own_frames(held[1]))) == 1


def test_the_columns_of_an_expression_stay():
    error = caught(grad(lambda x: x + X[7]), 1.0)
    last = traceback.extract_tb(error.__traceback__)[-1]
    assert last.colno is not None
    assert "~^^^" in "".join(traceback.format_exception(error))


def test_a_debugger_lands_in_the_users_frame():
    error = caught(grad(lambda x: np.sum(x + np.ones(2))), X)
    stack, current = bdb.Bdb().get_stack(None, error.__traceback__)
    assert current == len(stack) - 1
    assert stack[current][0].f_code.co_name == "<lambda>"
    assert "x" in stack[current][0].f_locals


def test_pytest_shows_the_users_code_alone():
    with pytest.raises(UserError) as info:
        grad(failing)(1.0)
    assert PACKAGE not in str(info.getrepr(style="short"))
    assert "inner_step" in str(info.getrepr(style="short"))


def test_ipython_shows_the_users_code_alone():
    ultratb = pytest.importorskip("IPython.core.ultratb")
    error = caught(grad(failing), 1.0)
    text = ultratb.ListTB().text(type(error), error, traceback.extract_tb(error.__traceback__))
    assert PACKAGE not in text
    assert "inner_step" in text


def test_errors_pickle_with_message_and_notes():
    for call in (lambda: grad(failing)(2), lambda: grad(lambda x: x + np.ones(2))(X)):
        error = caught(call)
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert getattr(copy, "__notes__", []) == getattr(error, "__notes__", [])


def test_a_generator_that_fails_in_the_function_shows_its_frame():
    def values(x):
        yield x
        raise UserError("mine")

    error = caught(grad(lambda x: sum(values(x))), 1.0)
    assert own(error) == []
    assert names(error)[-1] == "values"


def test_threads_fail_side_by_side():
    errors = []

    def work():
        errors.extend([caught(grad(grad(failing)), 1.0) for _ in range(20)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 80
    assert all(own(error) == [] and names(error)[-1] == "inner_step" for error in errors)


@pytest.mark.parametrize("exception", [KeyboardInterrupt, StopIteration, RecursionError])
def test_whatever_is_raised_is_shown_so(exception):
    def loss(x):
        raise exception

    error = caught(functools.partial(grad(loss), 1.0))
    assert type(error) is exception
    assert own(error) == []


def test_endless_recursion_through_transforms_ends_in_pythons_error():
    def loss(x):
        return grad(loss)(x)

    error = caught(grad(loss), 1.0)
    assert isinstance(error, RecursionError)
    assert own(error) == []
    assert grad(lambda x: x * x)(3.0) == 6


def test_what_the_user_catches_inside_is_as_short():
    seen = []

    def loss(x):
        try:
            grad(lambda y: y)(2)
        except NonDifferentiableError as error:
            seen.append(error)
        return x * x

    assert grad(loss)(3.0) == 6
    assert own(seen[0]) == []
