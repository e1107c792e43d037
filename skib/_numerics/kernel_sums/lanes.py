"""Lanes: one number per query of a tile, moved as vector registers by compiled loops.

Written with these, a loop says which operations happen side by side, and LLVM cuts the
lanes into the vector registers that the processor has. Nothing is left to fast-math or
to a vectorizer that may give up.

`add_exp2` takes its exponents *coded*: ``code * x + shift`` is the number whose integer
part holds, bit by bit, a float's exponent and a linear first guess of its mantissa, and
code and shift can be multiplied into what the caller adds up anyway.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

N_LANES = 32

# Bytes that are loaded at once at best.
CACHE_LINE = 64

# Any: numba fills in the first argument, which mypy cannot know.
_operation: Any = intrinsic


@dataclass(frozen=True)
class Format:
    """How floats of one precision are laid out, and 2^x in it.

    Attributes
    ----------
    bits, mantissa_bits, bias : int
        Of IEEE 754.
    lowest : float
        Exponents below are raised to this one.
    coefficients : tuple of floats
        2^(g-1) for g in [1, 2], highest power first: exact at both ends, minimax
        between them in the relative error, 3e-6 in single, 2e-14 in double precision.
    log_terms : int
        Terms of the series of a logarithm that reach rounding.
    """

    bits: int
    mantissa_bits: int
    bias: int
    lowest: float
    coefficients: tuple[float, ...]
    log_terms: int

    @property
    def code(self) -> float:
        """Factor that codes an exponent."""
        return 2.0**self.mantissa_bits

    @property
    def shift(self) -> float:
        """Coded exponent 0."""
        return self.bias * self.code


FORMATS = {
    "float32": Format(
        bits=32,
        mantissa_bits=23,
        bias=127,
        lowest=-80.0,
        coefficients=(
            *(0.013555747273951424, -0.002190620157196277, 0.16661713979817977),
            *(0.3121467125965633, 0.5098710204885017),
        ),
        log_terms=5,
    ),
    "float64": Format(
        bits=64,
        mantissa_bits=52,
        bias=1023,
        lowest=-500.0,
        coefficients=(
            *(1.4357697725266668e-07, -6.296732215811978e-08, 1.0696848722151387e-05),
            *(6.878335297326206e-05, 0.0006814901799642595, 0.004790846787806027),
            *(0.027767229869569497, 0.1201050449346557, 0.3465761965198095),
            0.49999963089684457,
        ),
        log_terms=11,
    ),
}


class Lanes(types.Type):
    """Numba's type of `N_LANES` floats."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        element = manager.lookup(lanes.dtype).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(element, N_LANES))


@_operation
def load(context, rows, row):  # type: ignore[no-untyped-def]
    """Return a row of a contiguous array of shape (n_rows, N_LANES)."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        lanes = context.get_value_type(signature.return_type)
        place = _place(context, builder, signature, arguments, lanes)
        return builder.load(place, align=_alignment(lanes))

    return Lanes(rows.dtype)(rows, row), generate


@_operation
def store(context, rows, row, lanes):  # type: ignore[no-untyped-def]
    """Write a row of a contiguous array of shape (n_rows, N_LANES)."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        value = arguments[2]
        place = _place(context, builder, signature, arguments, value.type)
        builder.store(value, place, align=_alignment(value.type))
        return context.get_dummy_value()

    return types.void(rows, row, lanes), generate


@_operation
def assume_disjoint(context):  # type: ignore[no-untyped-def]
    """Promise that no two arrays given to this function by pointers overlap.

    What is loaded from one stays known when another is written. Lanes that find no
    register are then kept on the stack, where none of them straddles a cache line.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        function = builder.function
        for argument in function.args:
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        function.attributes.alignstack = CACHE_LINE
        # llvmlite writes the number only beside an attribute that has a name.
        function.attributes.add("nounwind")
        return context.get_dummy_value()

    return types.void(), generate


@_operation
def spread(context, number):  # type: ignore[no-untyped-def]
    """Return lanes that all hold the same number."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        index = ir.IntType(32)
        lanes = context.get_value_type(signature.return_type)
        empty = ir.Constant(lanes, ir.Undefined)
        first = builder.insert_element(empty, arguments[0], index(0))
        return builder.shuffle_vector(
            first, empty, ir.VectorType(index, N_LANES)([0] * N_LANES)
        )

    return Lanes(number)(number), generate


@_operation
def add(context, a, b):  # type: ignore[no-untyped-def]
    """Return a + b."""
    return a(a, b), lambda _, builder, __, arguments: builder.fadd(*arguments)


@_operation
def subtract(context, a, b):  # type: ignore[no-untyped-def]
    """Return a - b."""
    return a(a, b), lambda _, builder, __, arguments: builder.fsub(*arguments)


@_operation
def multiply(context, a, b):  # type: ignore[no-untyped-def]
    """Return a * b."""
    return a(a, b), lambda _, builder, __, arguments: builder.fmul(*arguments)


@_operation
def multiply_add(context, a, b, c):  # type: ignore[no-untyped-def]
    """Return a * b + c, rounded once where the processor can."""
    return a(a, b, c), lambda _, builder, __, arguments: _fused(builder, *arguments)


@_operation
def add_exp2(context, total, coded):  # type: ignore[no-untyped-def]
    """Return total + 2^x for coded x < 127 (1023 in double precision)."""
    layout = FORMATS[total.dtype.name]

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        total, coded = arguments
        lanes = coded.type
        floor = _all(lanes, layout.lowest * layout.code + layout.shift)
        coded = builder.select(builder.fcmp_ordered(">", coded, floor), coded, floor)
        integers = ir.VectorType(ir.IntType(layout.bits), N_LANES)
        bits = builder.fptosi(coded, integers)
        mantissa = _all(integers, (1 << layout.mantissa_bits) - 1)
        one = _all(integers, layout.bias << layout.mantissa_bits)
        guess = builder.bitcast(builder.or_(builder.and_(bits, mantissa), one), lanes)
        power = builder.bitcast(builder.and_(bits, builder.not_(mantissa)), lanes)
        fraction = _all(lanes, layout.coefficients[0])
        for coefficient in layout.coefficients[1:]:
            fraction = _fused(builder, fraction, guess, _all(lanes, coefficient))
        return _fused(builder, power, fraction, total)

    return total(total, coded), generate


@_operation
def times_own_log(context, lanes):  # type: ignore[no-untyped-def]
    """Return x ln x, which is 0 at 0 and wrong for subnormal numbers."""
    layout = FORMATS[lanes.dtype.name]

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (x,) = arguments
        # x = 2^k m, with m within a factor of sqrt(2) of 1.
        integers = ir.VectorType(ir.IntType(layout.bits), N_LANES)
        bits = builder.bitcast(x, integers)
        half = _all(x.type, math.sqrt(0.5))
        from_half = builder.sub(bits, builder.bitcast(half, integers))
        shift = _all(integers, layout.mantissa_bits)
        power = builder.ashr(from_half, shift)
        m = builder.bitcast(builder.sub(bits, builder.shl(power, shift)), x.type)
        # ln m = 2 artanh z = 2 (z + z^3 / 3 + z^5 / 5 + ...).
        one = _all(x.type, 1.0)
        z = builder.fdiv(builder.fsub(m, one), builder.fadd(m, one))
        square = builder.fmul(z, z)
        series = _all(x.type, 2 / (2 * layout.log_terms - 1))
        for term in range(layout.log_terms - 1, 0, -1):
            series = _fused(builder, series, square, _all(x.type, 2 / (2 * term - 1)))
        ln_2 = _all(x.type, math.log(2))
        of_power = builder.fmul(builder.sitofp(power, x.type), ln_2)
        return builder.fmul(x, _fused(builder, series, z, of_power))

    return lanes(lanes), generate


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    suffix = {"float": "f32", "double": "f64"}[str(a.type.element)]
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(a.type, [a.type] * 3),
        f"llvm.fmuladd.v{N_LANES}{suffix}",
    )
    return builder.call(function, [a, b, c])


def _all(vector: Any, number: float) -> Any:
    return ir.Constant(vector, [vector.element(number)] * N_LANES)


def _place(context, builder, signature, arguments, lanes):  # type: ignore[no-untyped-def]
    rows = context.make_array(signature.args[0])(context, builder, arguments[0])
    zero = context.get_constant(types.intp, 0)
    first = cgutils.get_item_pointer(
        context, builder, signature.args[0], rows, [arguments[1], zero]
    )
    return builder.bitcast(first, lanes.as_pointer())


def _alignment(lanes: Any) -> int:
    # Arrays promise no more than whole numbers.
    return {"float": 4, "double": 8}[str(lanes.element)]
