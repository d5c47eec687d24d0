# The C compiler in the pip package ziglang, where the computer has none of its own. HANS_PYTHON: the Python that has it.
set(CMAKE_C_COMPILER "${HANS_PYTHON}" -m ziglang cc)
