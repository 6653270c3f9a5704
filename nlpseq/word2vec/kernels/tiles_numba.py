"""The arithmetic of a window in tiles, written for the compiler as vectors that stay in registers.

Loops over arrays leave it to the compiler to find out that rows do not overlap, and which sums are worth a
register, and it does not. Here both are said: LANES floats are worked on together, rows are read and written
by their address in the order that stands here, and the outputs are taken TILE at a time.

Letters: C contexts, J outputs, D dimensions, N pairs of both, output by output, `stride` apart.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from nlpseq.word2vec.kernels.select import LANES

TILE = 6  # outputs

_FLOAT, _WORD = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FLAGS = ("reassoc", "contract", "nsz")
_BYTES = 4  # of a float


def _instruction(function: Callable[..., Any]) -> Any:
    """Numba's `intrinsic`, whose type does not tell that compiled code passes no context."""
    return intrinsic(function)


@_instruction
def address(typing_context, matrix, row):  # type: ignore[no-untyped-def]
    """Where a row of a matrix begins in memory, as an unsigned integer."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = make_array(signature.args[0])(context, builder, arguments[0])
        place = [arguments[1], context.get_constant(types.uintp, 0)]
        return builder.ptrtoint(
            cgutils.get_item_pointer(context, builder, signature.args[0], array, place), _WORD
        )

    return types.uint64(matrix, types.uint64), generate


class _Code:
    """Instructions for vectors and for the elements of arrays."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.builder, self._context = builder, context
        self._of = dict(zip(arguments, signature.args, strict=True))

    def element(self, array: Any, place: Any) -> Any:
        """A pointer to an element of a one-dimensional array."""
        data = make_array(self._of[array])(self._context, self.builder, array).data
        return self.builder.gep(data, [place])

    def row(self, array: Any, place: Any, offset: Any) -> Any:
        """A pointer to LANES floats, `offset` bytes into the row whose address is array[place]."""
        begin = self.builder.load(self.element(array, place))
        return self.builder.inttoptr(self.builder.add(begin, offset), _VECTOR.as_pointer())

    def load(self, row: Any) -> Any:
        return self.builder.load(row, align=_BYTES)

    def store(self, vector: Any, row: Any) -> None:
        self.builder.store(vector, row, align=_BYTES)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """A b + c."""
        return self.builder.fadd(self.builder.fmul(a, b, flags=_FLAGS), c, flags=_FLAGS)

    def spread(self, number: Any) -> Any:
        """A vector of one number."""
        first = self.builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(first, first, zeros)

    def total(self, vector: Any) -> Any:
        """The sum of the numbers in a vector."""
        kind = ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR])
        name = f"llvm.vector.reduce.fadd.v{LANES}f32"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [_FLOAT(-0.0), vector], fastmath=_FLAGS)

    def sums(self, count: int) -> list[Any]:
        """Vectors to add to, which begin at 0."""
        zero = ir.Constant(_VECTOR, None)
        places = [cgutils.alloca_once(self.builder, _VECTOR) for _ in range(count)]
        for place in places:
            self.builder.store(zero, place)
        return places


@_instruction
def products(typing_context, x_C, num, y_J, first, out_N, stride, D):  # type: ignore[no-untyped-def]
    """Logits of being right, of TILE outputs from `first` on: x_c . y_j for output 0, -x_c . y_j for noise.

    Contexts are taken by twos: where their number is odd, x_C has one more.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        x_C, num, y_J, first, out_N, stride, D = arguments
        code, one = _Code(context, builder, signature, arguments), _WORD(1)
        with cgutils.for_range_slice(builder, _WORD(0), num, _WORD(2)) as (c, _):
            pair = [c, builder.add(c, one)]
            sums = code.sums(2 * TILE)
            outputs = [builder.add(first, _WORD(j)) for j in range(TILE)]
            with cgutils.for_range_slice(
                builder, _WORD(0), builder.mul(D, _WORD(_BYTES)), _WORD(_BYTES * LANES)
            ) as (offset, _):
                x_2 = [code.load(code.row(x_C, each, offset)) for each in pair]
                for j, output in enumerate(outputs):
                    y = code.load(code.row(y_J, output, offset))
                    for i, x in enumerate(x_2):
                        place = sums[2 * j + i]
                        builder.store(code.multiply_add(x, y, builder.load(place)), place)
            for j, output in enumerate(outputs):
                for i, each in enumerate(pair):
                    place = builder.add(builder.mul(output, stride), each)
                    product = code.total(builder.load(sums[2 * j + i]))
                    is_target = builder.icmp_signed("==", output, _WORD(0))
                    right = builder.select(is_target, product, builder.fneg(product))
                    builder.store(right, code.element(out_N, place))
        return context.get_dummy_value()

    return types.void(x_C, types.int64, y_J, types.int64, out_N, types.int64, types.int64), generate


@_instruction
def step(typing_context, x_C, from_C, to_C, num, y_J, first, g_N, stride, D):  # type: ignore[no-untyped-def]
    """to_c = from_c + sum of g y_j, y_j += sum of g x_c for TILE outputs from `first` on; g is of the pair.

    No row is there twice among the contexts, or among the outputs that have a g other than 0.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        x_C, from_C, to_C, num, y_J, first, g_N, stride, D = arguments
        code = _Code(context, builder, signature, arguments)
        outputs = [builder.add(first, _WORD(j)) for j in range(TILE)]
        with cgutils.for_range_slice(
            builder, _WORD(0), builder.mul(D, _WORD(_BYTES)), _WORD(_BYTES * LANES)
        ) as (offset, _):
            rows = [code.row(y_J, output, offset) for output in outputs]
            y_6, dy_6 = [code.load(row) for row in rows], code.sums(TILE)
            with cgutils.for_range(builder, num) as loop:
                c = loop.index
                x, changed = code.load(code.row(x_C, c, offset)), code.load(code.row(from_C, c, offset))
                for output, y, dy in zip(outputs, y_6, dy_6, strict=True):
                    place = builder.add(builder.mul(output, stride), c)
                    g = code.spread(builder.load(code.element(g_N, place)))
                    changed = code.multiply_add(g, y, changed)
                    builder.store(code.multiply_add(g, x, builder.load(dy)), dy)
                code.store(changed, code.row(to_C, c, offset))
            for row, y, dy in zip(rows, y_6, dy_6, strict=True):
                code.store(builder.fadd(y, builder.load(dy), flags=_FLAGS), row)
        return context.get_dummy_value()

    return (
        types.void(x_C, from_C, to_C, types.int64, y_J, types.int64, g_N, types.int64, types.int64),
        generate,
    )
