"""Eight bytes of an array as one number, from any place."""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array


def _eight_bytes(typing_context, data, at):  # type: ignore[no-untyped-def]
    """data[at : at + 8] of uint8, little-endian; it is not checked that the array has them."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = make_array(signature.args[0])(context, builder, arguments[0])  # type: ignore[no-untyped-call]
        place = cgutils.get_item_pointer(context, builder, signature.args[0], array, arguments[1:])  # type: ignore[no-untyped-call]
        return builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(data, at), generate


eight_bytes: Any = intrinsic(_eight_bytes)
