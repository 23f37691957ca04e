"""The control socket: requests from other processes to the operator, and the same API without an operator."""
