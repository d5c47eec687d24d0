"""Recordings from text: numbers, a line for each sample, as any firmware may print them."""
