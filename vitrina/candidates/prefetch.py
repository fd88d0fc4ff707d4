"""Asks the processor for memory that will be read soon.

The rows of a visitor's items lie far apart in tables larger than the caches. Asked for at once they arrive together;
read one after the other each would be waited for.
"""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]  # comes with numba, without types
from numba import types
from numba.extending import intrinsic

LINE: Final = 16
"""Values of four bytes that arrive with one request."""


def _prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    signature = types.void(array, index)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        hint = builder.module.declare_intrinsic("llvm.prefetch", [byte], shape)
        place = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(hint, [place, number(0), number(3), number(1)])  # for reading, into the nearest cache, data
        return context.get_dummy_value()

    return signature, generate


prefetch: Any = intrinsic(_prefetch)
"""`prefetch(array, index)` in compiled code: the cache line of the flat `index` of a contiguous array is wanted.

A hint: it reads nothing and never faults, whatever the index.
"""
