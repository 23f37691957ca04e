"""Optional metrics of a running operator for Prometheus, on their own port."""
