"""Cyber-Hans: learn how one machine normally behaves, and put that ear on a microcontroller, bit for bit."""

__version__ = "0.5.0"
