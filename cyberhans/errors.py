"""The one exception for expected failures: one line with the cause and the mend."""


class CyberHansError(Exception):
    """Something the user can mend. The text is one line: what is wrong, where, how to mend it."""
