"""LLVM intrinsics for text: a vector of bytes compared at once, and bit operations on uint64.

tests/reference/simd.py has each of them in plain Python. No function checks bounds.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

__all__ = ["VECTOR_BYTES", "bytes_in_range", "load_uint64", "multiply_fold", "popcount", "trailing_zeros"]

VECTOR_BYTES = 64  # bytes compared together: a bit for each fits a uint64
_VECTOR = ir.VectorType(ir.IntType(8), VECTOR_BYTES)


def _load_uint64(typing_context, data, at):  # type: ignore[no-untyped-def]
    """Load data[at : at + 8] of uint8 as a little-endian number."""
    return types.uint64(data, at), lambda *call: _load(ir.IntType(64), *call)


def _bytes_in_range(typing_context, data, at, low, num):  # type: ignore[no-untyped-def]
    """Return a bit for each byte of data[at : at + VECTOR_BYTES], set if low <= byte < low + num."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        vectors = [_load(_VECTOR, context, builder, signature, arguments)]
        for byte in arguments[2:]:  # each fills a vector
            first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), byte, ir.IntType(32)(0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), VECTOR_BYTES), [0] * VECTOR_BYTES)
            vectors.append(builder.shuffle_vector(first, first, zeros))
        in_range = builder.icmp_unsigned("<", builder.sub(vectors[0], vectors[1]), vectors[2])
        return builder.bitcast(in_range, ir.IntType(64))

    return types.uint64(data, at, types.uint8, types.uint8), generate


def _load(kind: Any, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Load a value of an LLVM type from the array and offset that come first among the arguments."""
    array = make_array(signature.args[0])(context, builder, arguments[0])  # type: ignore[no-untyped-call]
    pointer = cgutils.get_item_pointer(context, builder, signature.args[0], array, arguments[1:2])  # type: ignore[no-untyped-call]
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1)


def _multiply_fold(typing_context, a, b):  # type: ignore[no-untyped-def]
    """Return the upper half of the 128-bit product of two uint64, XORed with the lower half.

    The mixing step of Wang Yi's wyhash.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        double, word = ir.IntType(128), ir.IntType(64)
        product = builder.mul(*(builder.zext(factor, double) for factor in arguments))
        upper = builder.trunc(builder.lshr(product, ir.Constant(double, 64)), word)
        return builder.xor(upper, builder.trunc(product, word))

    return types.uint64(types.uint64, types.uint64), generate


def _trailing_zeros(typing_context, number):  # type: ignore[no-untyped-def]
    """Return the index of the lowest set bit of a uint64 other than 0."""
    zero_is_undefined = ir.Constant(ir.IntType(1), 1)
    return types.uint64(types.uint64), lambda _, builder, __, call: builder.cttz(call[0], zero_is_undefined)


def _popcount(typing_context, number):  # type: ignore[no-untyped-def]
    """Count the set bits of a uint64."""
    return types.uint64(types.uint64), lambda _, builder, __, call: builder.ctpop(call[0])


# Any, because a type checker sees the code generator instead of the function that Numba makes from it.
load_uint64: Any = intrinsic(_load_uint64)
bytes_in_range: Any = intrinsic(_bytes_in_range)
multiply_fold: Any = intrinsic(_multiply_fold)
trailing_zeros: Any = intrinsic(_trailing_zeros)
popcount: Any = intrinsic(_popcount)
