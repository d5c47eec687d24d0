# GNU compiler for Arm Cortex-M without an operating system.
include(${CMAKE_CURRENT_LIST_DIR}/bare.cmake)
set(HANS_FLAGS -fstack-usage -masm-syntax-unified)
set(HANS_LINK --specs=nano.specs)
