# What the toolchains for boards without an operating system share. HANS_COMPILER is the compiler's command, as a list.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_C_COMPILER ${HANS_COMPILER})
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(HANS_BARE ON)
