"""Prefetch array elements into the second-level cache, so that the first level stays free for other work."""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

__all__ = ["prefetch"]

READ, SECOND_LEVEL, DATA = 0, 2, 1  # arguments rw, locality and cache type of llvm.prefetch


def _prefetch(typing_context, array, index):  # type: ignore[no-untyped-def]
    """Prefetch the cache line of array[index]; index is a tuple of unsigned integers."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = make_array(signature.args[0])(context, builder, arguments[0])  # type: ignore[no-untyped-call]
        index = cgutils.unpack_tuple(builder, arguments[1])  # type: ignore[no-untyped-call]
        element = cgutils.get_item_pointer(context, builder, signature.args[0], array, index)  # type: ignore[no-untyped-call]
        byte, int32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        intrinsic_type = ir.FunctionType(ir.VoidType(), [byte, int32, int32, int32])
        function = cgutils.get_or_insert_function(builder.module, intrinsic_type, "llvm.prefetch.p0i8")  # type: ignore[no-untyped-call]
        constants = [ir.Constant(int32, value) for value in (READ, SECOND_LEVEL, DATA)]
        builder.call(function, [builder.bitcast(element, byte), *constants])
        return context.get_dummy_value()

    return types.void(array, index), generate


prefetch: Any = intrinsic(_prefetch)  # because the type checker sees the generating function
