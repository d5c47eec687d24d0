# The clang of the pip package ziglang, for boards without an operating system; its own library stands for libgcc and
# for the few functions of string.h. Objects tell the stack of each function (.stack_sizes). Without jump tables, as for
# RISC-V; without debugging information, which would hold paths; without merging of variables, which would hide whose
# they are.
include(${CMAKE_CURRENT_LIST_DIR}/bare.cmake)
set(HANS_FLAGS -fno-sanitize=all -fno-stack-protector -fno-unwind-tables -fno-asynchronous-unwind-tables -g0
    -fstack-size-section -fno-jump-tables -mllvm -enable-global-merge=0 -isystem ${CMAKE_CURRENT_LIST_DIR}/zig/include)
set(HANS_LINK "")
