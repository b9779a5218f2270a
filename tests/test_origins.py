"""An error of the backward pass names the line of the forward pass that it belongs to, or says nothing."""

import numpy as np
import pytest

from funcgrad import checkpoint, custom_vjp, grad, hessian, jacrev, value_and_grad, vjp, vmap
from funcgrad.errors import MutatedConstantError, ShapeError, StructureError
from funcgrad.primitives.families import primitive

X = np.array([1.0, 2.0, 3.0])


class UserError(Exception):
    """Not ours."""


def rule(bwd):
    """Return the identity with a rule of its own."""
    fun = custom_vjp(lambda x: x * 1.0)
    fun.defvjp(lambda x: (x * 1.0, None), lambda res, ct: bwd(ct))
    return fun


def refuse(ct):
    raise UserError("mine")


refusing = rule(refuse)
too_long = rule(lambda ct: (np.ones(7),))
too_many = rule(lambda ct: (ct, ct))
shapeless = rule(lambda ct: (ct @ np.ones((9, 9)),))


def caught(call, *args):
    with pytest.raises(Exception) as info:  # noqa: PT011 - the caller looks at what it is
        call(*args)
    return info.value


def notes(error):
    """Return the notes of the backward pass."""
    return [note for note in getattr(error, "__notes__", []) if "backward pass" in note]


@pytest.mark.parametrize(
    ("step", "cls"),
    [
        (refusing, UserError),
        (too_long, ShapeError),
        (too_many, StructureError),
        (shapeless, ValueError),
    ],
)
def test_an_error_in_a_rule_names_the_line_that_used_it(step, cls):
    def loss(w):
        h = np.sin(w) + w[0]
        h = step(h)
        return np.sum(h * h)

    line = loss.__code__.co_firstlineno + 2
    for call in (
        lambda: grad(loss)(X),
        lambda: value_and_grad(loss)(X),
        lambda: vjp(loss, X)[1](1.0),
        lambda: jacrev(loss)(X),
        lambda: hessian(loss)(X),
        lambda: vmap(grad(loss))(np.stack([X, X])),
        lambda: grad(lambda x: np.sum(grad(loss)(x)))(X),
    ):
        error = caught(call)
        assert isinstance(error, cls)
        assert notes(error) == [
            f"  in the backward pass of test_origins.py:{line} in loss: h = step(h)"
        ]


def test_the_line_is_that_of_the_call_that_failed_not_of_another():
    calls = []

    def second_only(ct):
        calls.append(1)
        return refuse(ct) if len(calls) == 2 else (ct,)

    step = rule(second_only)

    def loss(w):
        h = step(w)  # its turn comes second
        h = np.cos(h)
        return np.sum(step(h))

    (note,) = notes(caught(grad(loss), X))
    assert "h = step(w)" in note


def test_inside_a_checkpoint_it_is_the_line_inside():
    def block(h):
        h = np.sin(h)
        return refusing(h)

    def loss(w):
        return np.sum(checkpoint(block)(w))

    (note,) = notes(caught(grad(loss), X))
    assert "in block: return refusing(h)" in note


def test_a_rule_of_a_primitive_of_the_users():
    cubed = primitive("cubed", lambda x: x**3, vjp=(lambda ct, x: np.ones((2, 2)) @ (ct * x),))

    def loss(w):
        y = cubed(w)
        return np.sum(y)

    error = caught(grad(loss), X)
    assert isinstance(error, ValueError)
    assert "in loss: y = cubed(w)" in notes(error)[0]


def test_a_constant_that_changed_is_named_once():
    large = np.ones((200, 200))

    def loss(w):
        y = large * w
        large[0, 0] += 1.0
        return np.sum(refusing(y))

    error = caught(grad(loss), 2.0)
    assert isinstance(error, UserError)
    assert "refusing(y)" in notes(error)[0]

    def other(w):
        y = large * w
        large[0, 0] += 1.0
        return np.sum(y)

    error = caught(grad(other), 2.0)
    assert isinstance(error, MutatedConstantError)
    assert notes(error) == []
    assert "y = large * w" in str(error)


@pytest.mark.parametrize("change", ["raises", "does more", "does something else"])
def test_where_the_second_run_is_unlike_the_first_nothing_is_said(change):
    runs = []

    def loss(w):
        runs.append(1)
        h = refusing(w)
        if len(runs) > 1:
            if change == "raises":
                raise ValueError("only once")
            h = np.cos(h) if change == "does something else" else np.sin(np.sin(h))
        else:
            h = np.sin(h)
        return np.sum(h)

    error = caught(grad(loss), X)
    assert type(error) is UserError
    assert len(runs) == 2
    assert notes(error) == []


def test_a_function_runs_once_when_nothing_fails_or_when_it_fails_itself():
    runs = []

    def loss(w):
        runs.append(1)
        return np.sum(w + np.ones(len(runs) * 2 + 1))

    grad(loss)(X)
    assert len(runs) == 1
    caught(grad(loss), X)
    assert len(runs) == 2


def test_the_error_leaves_inputs_and_outer_transforms_as_they_were():
    def outer(w):
        try:
            grad(lambda v: np.sum(refusing(v * w)))(w)
        except UserError:
            return np.sum(w**2)
        return np.sum(w)

    assert grad(outer)(X).tolist() == [2, 4, 6]


def test_a_pullback_serves_on_after_its_rule_failed():
    failing = []

    def fail_first(ct):
        failing.append(1)
        return refuse(ct) if len(failing) == 1 else (ct,)

    step = rule(fail_first)
    _, pullback = vjp(lambda w: step(2 * w), X)
    assert len(notes(caught(pullback, X))) == 1
    assert pullback(X)[0].tolist() == [2, 4, 6]
