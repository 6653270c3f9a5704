"""Compute the products and the step of a window in tiles, as LLVM vectors that stay in registers.

For loops over arrays the compiler must find out that rows do not overlap and which sums deserve a register,
and fails. Here the code says so: instructions work on LANES floats together, rows are read and written by
address in the order of the source, and outputs are taken TILE at a time.

tests/reference/tiles.py holds a plain version of each function with the same signature.

Letters: C contexts, J outputs, D dimensions, N pairs of an output and a context: pair j * stride + c.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from nlpseq.word2vec.kernels.select import LANES

__all__ = ["TILE", "address", "products", "step"]

TILE = 6  # outputs

_FLOAT, _INT64 = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FLAGS = ("reassoc", "contract", "nsz")
_FLOAT_BYTES = 4

_intrinsic: Any = intrinsic  # its type does not tell that compiled code passes no typing context


@_intrinsic
def address(typing_context, matrix, row):  # type: ignore[no-untyped-def]
    """Return the address of a row of a matrix, uint64."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = make_array(signature.args[0])(context, builder, arguments[0])
        index = [arguments[1], context.get_constant(types.uintp, 0)]
        pointer = cgutils.get_item_pointer(context, builder, signature.args[0], array, index)
        return builder.ptrtoint(pointer, _INT64)

    return types.uint64(matrix, types.uint64), generate


class _VectorBuilder:
    """Emit instructions for vectors of LANES floats and for elements of arrays."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.builder, self._context = builder, context
        self._types = dict(zip(arguments, signature.args, strict=True))

    def element(self, array: Any, index: Any) -> Any:
        """Return a pointer to an element of a one-dimensional array."""
        data = make_array(self._types[array])(self._context, self.builder, array).data
        return self.builder.gep(data, [index])

    def row(self, array: Any, index: Any, offset: Any) -> Any:
        """Return a pointer to LANES floats, `offset` bytes into the row at the address array[index]."""
        start = self.builder.load(self.element(array, index))
        return self.builder.inttoptr(self.builder.add(start, offset), _VECTOR.as_pointer())

    def load(self, row: Any) -> Any:
        """Load a vector."""
        return self.builder.load(row, align=_FLOAT_BYTES)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return a b + c."""
        return self.builder.fadd(self.builder.fmul(a, b, flags=_FLAGS), c, flags=_FLAGS)

    def horizontal_sum(self, vector: Any) -> Any:
        """Return the sum of the elements of a vector."""
        signature = ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR])
        name = f"llvm.vector.reduce.fadd.v{LANES}f32"
        function = cgutils.get_or_insert_function(self.builder.module, signature, name)
        return self.builder.call(function, [_FLOAT(-0.0), vector], fastmath=_FLAGS)

    def accumulators(self, count: int) -> list[Any]:
        """Return pointers to `count` vectors of zeros."""
        zero = ir.Constant(_VECTOR, None)
        pointers = [cgutils.alloca_once(self.builder, _VECTOR) for _ in range(count)]
        for pointer in pointers:
            self.builder.store(zero, pointer)
        return pointers


@_intrinsic
def products(typing_context, x_C, num, y_J, first, out_N, stride, D):  # type: ignore[no-untyped-def]
    """Fill the logits of TILE outputs from `first` on: x_c.y_j of the target, -x_c.y_j of negatives.

    Output 0 is the target. x_C and y_J are addresses of rows. Contexts are taken in pairs: if num is odd, x_C
    has one more address, and out_N room for its logits.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        x_C, num, y_J, first, out_N, stride, D = arguments
        code, one = _VectorBuilder(context, builder, signature, arguments), _INT64(1)
        with cgutils.for_range_slice(builder, _INT64(0), num, _INT64(2)) as (c, _):
            pair = [c, builder.add(c, one)]
            sums = code.accumulators(2 * TILE)
            outputs = [builder.add(first, _INT64(j)) for j in range(TILE)]
            row_bytes = builder.mul(D, _INT64(_FLOAT_BYTES))
            vector_bytes = _INT64(_FLOAT_BYTES * LANES)
            with cgutils.for_range_slice(builder, _INT64(0), row_bytes, vector_bytes) as (offset, _):
                x_2 = [code.load(code.row(x_C, context_index, offset)) for context_index in pair]
                for j, output in enumerate(outputs):
                    y = code.load(code.row(y_J, output, offset))
                    for i, x in enumerate(x_2):
                        total = sums[2 * j + i]
                        builder.store(code.multiply_add(x, y, builder.load(total)), total)
            for j, output in enumerate(outputs):
                for i, context_index in enumerate(pair):
                    n = builder.add(builder.mul(output, stride), context_index)
                    product = code.horizontal_sum(builder.load(sums[2 * j + i]))
                    is_target = builder.icmp_signed("==", output, _INT64(0))
                    logit = builder.select(is_target, product, builder.fneg(product))
                    builder.store(logit, code.element(out_N, n))
        return context.get_dummy_value()

    return types.void(x_C, types.int64, y_J, types.int64, out_N, types.int64, types.int64), generate


@_intrinsic
def step(typing_context, x_C, from_C, to_C, num, y_J, first, g_N, stride, D):  # type: ignore[no-untyped-def]
    """Run to_c = from_c + sum of g y_j and y_j += sum of g x_c, for TILE outputs from `first` on.

    x_C, from_C, to_C and y_J are addresses of rows. No row may occur twice among the contexts, nor among the
    outputs whose g is not 0.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        x_C, from_C, to_C, num, y_J, first, g_N, stride, D = arguments
        code = _VectorBuilder(context, builder, signature, arguments)
        outputs = [builder.add(first, _INT64(j)) for j in range(TILE)]
        row_bytes, vector_bytes = builder.mul(D, _INT64(_FLOAT_BYTES)), _INT64(_FLOAT_BYTES * LANES)
        undefined, zero = ir.Constant(_VECTOR, ir.Undefined), ir.IntType(32)(0)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        with cgutils.for_range_slice(builder, _INT64(0), row_bytes, vector_bytes) as (offset, _):
            rows = [code.row(y_J, output, offset) for output in outputs]
            y_T, dy_T = [code.load(row) for row in rows], code.accumulators(TILE)
            with cgutils.for_range(builder, num) as loop:
                c = loop.index
                x, changed = code.load(code.row(x_C, c, offset)), code.load(code.row(from_C, c, offset))
                for output, y, dy in zip(outputs, y_T, dy_T, strict=True):
                    n = builder.add(builder.mul(output, stride), c)
                    g = builder.insert_element(undefined, builder.load(code.element(g_N, n)), zero)
                    g = builder.shuffle_vector(g, g, zeros)  # in all elements
                    changed = code.multiply_add(g, y, changed)
                    builder.store(code.multiply_add(g, x, builder.load(dy)), dy)
                builder.store(changed, code.row(to_C, c, offset), align=_FLOAT_BYTES)
            for row, y, dy in zip(rows, y_T, dy_T, strict=True):
                builder.store(builder.fadd(y, builder.load(dy), flags=_FLAGS), row, align=_FLOAT_BYTES)
        return context.get_dummy_value()

    signature = types.void(x_C, from_C, to_C, types.int64, y_J, types.int64, g_N, types.int64, types.int64)
    return signature, generate
