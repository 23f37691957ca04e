"""The router in Python: Starlette and uvicorn between workers' pages and the operator.

Started as ``python -m mephisto_es.adapters.architects.router.python`` with everything it needs in the environment (see
``settings``). It knows nothing of tasks: it turns HTTP requests into packets, keeps agents' sockets, and keeps every
packet of a worker on disk until the operator has acknowledged it.

The router in JavaScript (``../node``) has the same files, classes and methods; a test compares them. Whoever changes
one changes the other.
"""
