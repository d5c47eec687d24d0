# GNU compiler for RISC-V without an operating system, with picolibc. Nothing is relaxed: a linker that shortens calls
# would make an image whose size nobody knows before. Without jump tables every jump through a register is a call or a
# return, which cyberhans/stack.py follows.
include(${CMAKE_CURRENT_LIST_DIR}/bare.cmake)
set(HANS_FLAGS -fstack-usage -mno-relax -fno-jump-tables -msmall-data-limit=0 --specs=picolibc.specs)
set(HANS_LINK --specs=picolibc.specs -Wl,--no-relax)
