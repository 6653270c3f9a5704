"""Have parts of arrays brought near while other work goes on, which has the first-level cache to itself."""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

READ, SECOND, DATA = 0, 2, 1  # of llvm.prefetch: not to write, into the second-level cache, not code


def _prefetch(typing_context, array, place):  # type: ignore[no-untyped-def]
    """Ask for the cache line of array[place]; a place is a tuple of unsigned indices."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = make_array(signature.args[0])(context, builder, arguments[0])  # type: ignore[no-untyped-call]
        place = cgutils.unpack_tuple(builder, arguments[1])  # type: ignore[no-untyped-call]
        element = cgutils.get_item_pointer(context, builder, signature.args[0], array, place)  # type: ignore[no-untyped-call]
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        asked = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, asked, "llvm.prefetch.p0i8")  # type: ignore[no-untyped-call]
        constants = [ir.Constant(number, value) for value in (READ, SECOND, DATA)]
        builder.call(function, [builder.bitcast(element, byte), *constants])
        return context.get_dummy_value()

    return types.void(array, place), generate


prefetch: Any = intrinsic(_prefetch)  # as a type checker sees the function that writes the code
