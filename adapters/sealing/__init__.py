"""Makes seals and proofs from a log file, and checks them without one. Needs the extra `proof`."""
