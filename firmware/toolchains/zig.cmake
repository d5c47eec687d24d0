# The clang of the pip package ziglang, for boards without an operating system; its own library stands for libgcc and
# for the few functions of string.h. Objects tell the stack of each function (.stack_sizes). Without debugging
# information, which would hold paths; without global merging, which would put one part's variables into another's.
include(${CMAKE_CURRENT_LIST_DIR}/bare.cmake)
set(HANS_FLAGS -fno-sanitize=all -fno-stack-protector -fno-unwind-tables
    -fno-asynchronous-unwind-tables -fstack-size-section -fno-jump-tables -g0 -mllvm -enable-global-merge=0
    -isystem ${CMAKE_CURRENT_LIST_DIR}/zig/include)
set(HANS_LINK "")
