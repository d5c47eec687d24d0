# The compiler of this computer, for the board that is a process.
