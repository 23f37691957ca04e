"""Lifecycles, the ledger and the operator. Reaches the world only through `ports`."""
