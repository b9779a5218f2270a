"""The families: one declaration gives a primitive its rules for every transform.

A rule is a plain NumPy function that names what it needs: `ct` (the cotangent, first), `ans`, an
argument, `x_shape`, `x_ndim` or `x_dtype` of an argument `x` (or of `ans`), a setting. The tape
keeps what is named and nothing else.

=============  ===========================================  =========================================
family         declare                                      follows
=============  ===========================================  =========================================
`elementwise`  a partial derivative per argument            vjp, jvp, batching
`linear`       the transpose, the batching                  vjp; the jvp is the function itself
`bilinear`     the two transposes, the batching             vjp; the jvp is the product rule
`primitive`    a vjp per argument, the batching             the jvp, by transposing the vjp
`constant`     nothing: piecewise constant                  a plain result; vmap maps it
`composite`    a body in NumPy                              everything, from the primitives in it
=============  ===========================================  =========================================
"""

import functools
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.backward import LARGE, TEMPORARY, is_free, times
from funcgrad.broadcasting import unbroadcast
from funcgrad.core import HANDLERS, Primitive, handle, zero
from funcgrad.errors import ArgumentError, fail, is_own
from funcgrad.primitives.guards import guard

Rule = Callable[..., Any]

composite = handle  # a function over primitives needs no rule: registering it is all

REGISTRY: dict[str, Primitive] = {}
_sealed = False


def register(primitive: Primitive) -> Primitive:
    """Put one of the library's own primitives into the registry that the tests loop over.

    Those of SciPy come later and are not in it. Nor are a user's own: what their functions and
    rules return is checked in each call.
    """
    frame: Any = sys._getframe(1)
    while frame.f_code.co_filename == __file__:
        frame = frame.f_back
    if not is_own(frame):  # the module that declares
        if primitive.name in REGISTRY:  # what is known of ours does not hold for it: kinks, views
            primitive.name = f"primitive({primitive.name})"
        guard(primitive)
    elif not _sealed:
        if primitive.name in REGISTRY:
            raise ValueError(f"a primitive named {primitive.name!r} is declared already")
        REGISTRY[primitive.name] = primitive
    return primitive


def seal() -> None:
    """Say that the library's own primitives are complete: later ones are a user's."""
    global _sealed  # noqa: PLW0603  # set once, when the package is imported
    _sealed = True


def _check_declaration(name: Any, fun: Any, rules: Any, parameter: str) -> None:
    """Raise unless there is a function and a rule (or None, or what else `parameter` may be) for each argument."""
    if not callable(fun):
        raise fail(
            ArgumentError,
            f"the primitive {name!r} needs a function, but got {fun!r}.",
            "pass the function of plain arrays that computes the value",
        )
    if not isinstance(rules, tuple) or not rules:
        raise fail(
            ArgumentError,
            f"the primitive {name!r} needs a tuple of rules, one per array argument, but got {rules!r}.",
            f"write {parameter}=(rule,); for a function that is piecewise constant use constant(...)",
        )
    for rule in rules:
        if rule is not None and not callable(rule):
            raise fail(
                ArgumentError,
                f"a rule of the primitive {name!r} must be a function or None, not {rule!r}.",
                "write lambda ct, x: ct * ..., with the cotangent first, then what it needs",
            )
        if rule is not None and not _named(rule):
            raise fail(
                ArgumentError,
                f"a rule of the primitive {name!r} takes no argument.",
                "write lambda ct, x: ct * ..., with the cotangent first, then what it needs",
            )


def _named(rule: Rule) -> tuple[str, ...]:
    code = getattr(rule, "__code__", None)
    if code is None:
        return tuple(inspect.signature(rule).parameters)
    return tuple(code.co_varnames[: code.co_argcount])  # 60 times as quick: hundreds at import


def _keeper(names: tuple[str, ...], primitive: Primitive) -> Any:
    """Compile what a rule names into `keep(ans, args, settings)`: one value, a tuple, or None.

    `keep.args` are the arguments kept whole, and `keep.settings` the settings that hold arrays: what
    the program might change afterwards. (Settings are numbers, strings and tuples; an array is an argument.)
    """
    parameters = primitive.parameters
    defaults: dict[str, Any] = {}
    parts, kept_args = [], []
    for name in names:
        base, _, attribute = name.rpartition("_")
        if name == "ans":
            parts.append("ans")
        elif name in parameters:
            kept_args.append(parameters.index(name))
            parts.append(f"args[{kept_args[-1]}]")
        elif attribute in ("shape", "ndim", "dtype") and base in (*parameters, "ans"):
            owner = "ans" if base == "ans" else f"args[{parameters.index(base)}]"
            parts.append(f"{owner}.{attribute}")
        else:
            defaults = _defaults(primitive)
            # A caller may leave a setting out that has a default.
            other = f".get({name!r}, defaults[{name!r}])" if name in defaults else f"[{name!r}]"
            parts.append(f"settings{other}")
    body = parts[0] if len(parts) == 1 else f"({', '.join(parts)})" if parts else "None"
    keep = types.FunctionType(_getter(body), {"defaults": defaults})
    keep.args, keep.settings = tuple(kept_args), ()  # type: ignore[attr-defined]
    return keep


@functools.cache
def _getter(body: str) -> Any:
    return eval(f"lambda ans, args, settings: {body}").__code__  # as namedtuple makes its getters


def _pullback(rule: Rule, count: int) -> Any:
    """Give a rule `(ct, *names)` the uniform form `(ct, kept)`."""
    if count == 0:
        return lambda ct, kept: rule(ct)
    if count == 1:
        return lambda ct, kept: rule(ct, kept)
    return lambda ct, kept: rule(ct, *kept)


def _signature(primitive: Primitive) -> Any:
    """Return the parameters of a user's function; None if they are unknown, or the library's own."""
    if not _sealed:  # hundreds at import
        return None
    try:
        return inspect.signature(primitive.fun).parameters
    except (TypeError, ValueError):
        return None


def _defaults(primitive: Primitive) -> dict[str, Any]:
    parameters = _signature(primitive) or {}
    return {name: p.default for name, p in parameters.items() if p.default is not p.empty}


def _check_names(primitive: Primitive, names: tuple[str, ...]) -> None:
    """Raise if a user's rule names what is neither an argument nor a setting of the function."""
    settings = _signature(primitive)
    if settings is None:
        return
    known = {"ans", *primitive.parameters}
    known |= {f"{x}_{what}" for x in known for what in ("shape", "ndim", "dtype")}
    kinds = [p.kind for p in settings.values()]
    unknown = [name for name in names if name not in known and name not in settings]
    if unknown and inspect.Parameter.VAR_KEYWORD not in kinds:
        raise fail(
            ArgumentError,
            f"a rule of the primitive {primitive.name!r} names {unknown[0]!r}, which is no argument and no "
            "setting of its function.",
            f"name ct (or t), ans, {', '.join(primitive.parameters)}, x_shape and the like, or a setting",
        )


def _set_vjps(primitive: Primitive, rules: tuple[Rule | None, ...]) -> None:
    pulls, keeps = [], []
    for rule in rules:
        names = () if rule is None else _named(rule)[1:]
        _check_names(primitive, names)
        pulls.append(zero if rule is None else _pullback(rule, len(names)))
        keeps.append(_keeper(names, primitive))
    primitive.pulls, primitive.keeps = tuple(pulls), tuple(keeps)


def _set_jvps(primitive: Primitive, rules: tuple[Rule | None, ...]) -> None:
    jvps = []
    for rule in rules:
        names = () if rule is None else _named(rule)[1:]
        _check_names(primitive, names)
        keep = _keeper(names, primitive)
        jvps.append(None if rule is None else _pushforward(_pullback(rule, len(names)), keep))
    primitive.jvps = tuple(jvps)


def _pushforward(push: Any, keep: Any) -> Any:
    if push is None:
        return lambda t, ans, args, settings: t
    return lambda t, ans, args, settings: push(t, keep(ans, args, settings))


# --- elementwise ---------------------------------------------------------------------------------


def elementwise(fun: Any, *partials: Any, name: str | None = None) -> Primitive:
    """Declare a function that acts on each entry of its broadcast arguments.

    Parameters
    ----------
    fun : callable
        The NumPy ufunc, or a function of arrays alone.
    *partials : number, None or function
        Per argument (called `x`, `y`, `z` in order) the partial derivative: a number; a function
        naming what it needs, `lambda ans: 1 - ans * ans`; a function with `ct` first that returns
        the product itself, `lambda ct, x: np.where(x, ct, 0)`; or None where the function is
        piecewise constant.
    """
    parameters = ("x", "y", "z")[: len(partials)]
    name = str(name or getattr(fun, "__name__", "?"))
    rules_given = tuple([None if isinstance(p, (int, float)) else p for p in partials])
    _check_declaration(name, fun, rules_given, "partial")
    primitive = Primitive(name, fun, parameters)
    for partial in partials:
        if callable(partial):
            _check_names(primitive, tuple([n for n in _named(partial) if n != "ct"]))
    rules = [_elementwise_rule(partial) for partial in partials]
    primitive.elementwise = True
    primitive.pulls = tuple([pull for pull, _ in rules])
    primitive.keeps = tuple([_keeper(names, primitive) for _, names in rules])
    whole = {name for _, names in rules for name in names} <= {"ans", *parameters}
    # The quick recorders take it that every argument has an edge, and what is kept is whole.
    if zero not in primitive.pulls and whole:
        primitive.slots = tuple([_places(names, parameters) for _, names in rules])
    # The Jacobian is diagonal, so it is its own transpose: the jvp is the vjp.
    primitive.jvps = tuple(
        [
            _pushforward(pull, keep)
            for pull, keep in zip(primitive.pulls, primitive.keeps, strict=True)
        ]
    )
    if isinstance(fun, np.ufunc):
        HANDLERS[fun] = primitive
        primitive.promotes = "dd->d" in fun.types
    return register(primitive)


def _elementwise_rule(partial: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the pullback and the names of what it keeps."""
    if partial is None:
        return zero, ()
    if not callable(partial):
        return _scaled(partial), ()
    names = _named(partial)
    if names[0] == "ct":
        pull, names = _pullback(partial, len(names) - 1), names[1:]
    elif len(names) == 1:
        if _is_identity(partial):
            return times, names
        pull = lambda ct, kept: product(ct, partial(kept))  # noqa: E731
    else:
        pull = lambda ct, kept: product(ct, partial(*kept))  # noqa: E731
    pull.elementwise = True
    pull.summed = getattr(partial, "summed", None)
    return pull, names


def product(ct: Any, partial: Any) -> Any:
    """Multiply a cotangent with a partial derivative, in the memory of that if it is large and nobody else's."""
    if type(partial) is np.ndarray and partial.nbytes > LARGE and type(ct) is np.ndarray:
        same = partial.dtype is ct.dtype and partial.shape == ct.shape
        if same and is_free(partial, TEMPORARY):
            return np.multiply(ct, partial, out=partial)
    return ct * partial


def _is_identity(partial: Any) -> bool:
    return bool(partial.__code__.co_code == (lambda x: x).__code__.co_code)


def _scaled(factor: Any) -> Any:
    if factor == 1:
        return None  # the cotangent itself
    if factor == -1:
        negated = lambda ct, kept: -ct  # noqa: E731
        negated.summed = lambda ct, kept, shape: -unbroadcast(ct, shape)  # type: ignore[attr-defined]
        return negated
    return lambda ct, kept: ct * factor


def _places(names: tuple[str, ...], parameters: tuple[str, ...]) -> Any:
    """Return where in `(None, ans, *args)` the kept values stand: one place or a tuple of places."""
    if not names:
        return 0
    places = tuple([("ans", *parameters).index(name) + 1 for name in names])
    return places[0] if len(places) == 1 else places


# --- the other families --------------------------------------------------------------------------


def linear(name: str, fun: Any, *, transpose: Rule, batch: Rule) -> Primitive:
    """Declare a function `fun(x, **settings)` that is linear in `x`.

    `transpose(ct, ...)` is the transposed map; `batch(x, **settings)` applies the function to each
    slice of `x` along axis 0.
    """
    _check_declaration(name, fun, (transpose,), "transpose")
    primitive = Primitive(name, fun, ("x",))
    _set_vjps(primitive, (transpose,))
    primitive.jvps = (lambda t, ans, args, settings: primitive(t, **settings),)
    primitive.batch = lambda args, mapped, settings: batch(*args, **settings)
    return register(primitive)


def bilinear(name: str, fun: Any, *, vjp: tuple[Rule, Rule], batch: Rule) -> Primitive:
    """Declare a function `fun(x, y, **settings)` that is linear in each of `x` and `y`.

    `vjp` are the two transposed maps; `batch(args, mapped, settings)` applies the function to
    slices along axis 0 of the arguments for which `mapped` is true.
    """
    _check_declaration(name, fun, vjp, "vjp")
    primitive = Primitive(name, fun, ("x", "y"))
    _set_vjps(primitive, vjp)
    primitive.jvps = (
        lambda t, ans, args, settings: primitive(t, args[1], **settings),
        lambda t, ans, args, settings: primitive(args[0], t, **settings),
    )
    primitive.batch = batch
    return register(primitive)


def primitive(
    name: str,
    fun: Any,
    *,
    vjp: tuple[Rule | None, ...],
    jvp: tuple[Rule | None, ...] | None = None,
    batch: Rule | None = None,
    parameters: tuple[str, ...] = ("x", "y", "z"),
    multiple: bool = False,
) -> Primitive:
    """Declare any other function of arrays.

    `vjp` has a rule `(ct, ...)` per argument, or None where the function is piecewise constant
    (`ct` is a tuple if `multiple` says that the function returns several arrays). `jvp` has rules
    `(t, ...)`; without it the jvp is derived by transposing the vjp, which is linear in the
    cotangent. Without `batch` the function is applied slice by slice.
    """
    _check_declaration(name, fun, vjp, "vjp")
    if jvp is not None:
        _check_declaration(name, fun, jvp, "jvp")
    new = Primitive(name, fun, parameters[: len(vjp)])
    new.multiple = multiple
    new.batch = batch
    _set_vjps(new, vjp)
    _set_jvps(new, jvp or (None,) * len(vjp))
    return register(new)


def constant(
    fun: Any, *, name: str | None = None, batch: Rule | None = None, elementwise: bool = False
) -> Primitive:
    """Declare a piecewise constant function: its result is a plain array (a mapped one under vmap).

    `elementwise` says that it acts on each entry of its broadcast arguments, as every ufunc does.
    Without it and without `batch` the function is applied slice by slice.
    """
    new = Primitive(name or fun.__name__, fun, ())
    new.elementwise = elementwise or (batch is None and isinstance(fun, np.ufunc))
    new.batch = batch
    if isinstance(fun, np.ufunc):
        HANDLERS[fun] = new
    return register(new)
