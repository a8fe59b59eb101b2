"""The compiler: a Program becomes one native function.

    inline → simplify → divide → fuse → schedule (loop IR) → plan memory → emit LLVM IR → assemble → load

Each pass is a file. `docs/design/compiler.md` follows one program through all of them.
"""
