"""Stretches of bytes as numbers, and what a processor counts in the bits of one."""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

STRETCH = 64  # bytes looked at together
_BYTES_64 = ir.VectorType(ir.IntType(8), STRETCH)


def _eight_bytes(typing_context, data, at):  # type: ignore[no-untyped-def]
    """data[at : at + 8] of uint8, little-endian; it is not checked that the array has them."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = make_array(signature.args[0])(context, builder, arguments[0])  # type: ignore[no-untyped-call]
        place = cgutils.get_item_pointer(context, builder, signature.args[0], array, arguments[1:])  # type: ignore[no-untyped-call]
        return builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(data, at), generate


def _within(typing_context, data, at, low, num):  # type: ignore[no-untyped-def]
    """A bit for each byte of data[at : at + STRETCH]: if it is low, ..., low + num - 1; unchecked too."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data, at, low, num = arguments
        array = make_array(signature.args[0])(context, builder, data)  # type: ignore[no-untyped-call]
        place = cgutils.get_item_pointer(context, builder, signature.args[0], array, [at])  # type: ignore[no-untyped-call]
        bytes_64 = builder.load(builder.bitcast(place, _BYTES_64.as_pointer()), align=1)
        from_low = builder.sub(bytes_64, _spread(builder, low))
        return builder.bitcast(builder.icmp_unsigned("<", from_low, _spread(builder, num)), ir.IntType(64))

    return types.uint64(data, at, types.uint8, types.uint8), generate


def _spread(builder: Any, byte: Any) -> Any:
    """A vector of one byte."""
    first = builder.insert_element(ir.Constant(_BYTES_64, ir.Undefined), byte, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), STRETCH), [0] * STRETCH)
    return builder.shuffle_vector(first, first, zeros)


def _folded(typing_context, a, b):  # type: ignore[no-untyped-def]
    """The product of two uint64, 128 bits of it, its upper half XORed with its lower one."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        double, word = ir.IntType(128), ir.IntType(64)
        product = builder.mul(*(builder.zext(each, double) for each in arguments))
        upper = builder.trunc(builder.lshr(product, ir.Constant(double, 64)), word)
        return builder.xor(upper, builder.trunc(product, word))

    return types.uint64(types.uint64, types.uint64), generate


def _trailing_zeros(typing_context, number):  # type: ignore[no-untyped-def]
    """The place of the lowest bit that is set in a uint64, which is not 0."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


def _num_ones(typing_context, number):  # type: ignore[no-untyped-def]
    """How many bits are set in a uint64."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


# Any, as a type checker sees the function that writes the code and not the one it makes.
eight_bytes: Any = intrinsic(_eight_bytes)
within: Any = intrinsic(_within)
folded: Any = intrinsic(_folded)
trailing_zeros: Any = intrinsic(_trailing_zeros)
num_ones: Any = intrinsic(_num_ones)
