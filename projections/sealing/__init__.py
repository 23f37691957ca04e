"""Seals and proofs: commits a log to a Merkle tree, and proves what is in it."""
