# The compiler of this computer, for the board that is a process: HANS_COMPILER is its command, as a list.
set(CMAKE_C_COMPILER ${HANS_COMPILER})
