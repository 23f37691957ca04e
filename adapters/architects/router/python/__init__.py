"""The router in Python: Starlette and uvicorn between workers' pages and the operator.

Started as ``python -m mephisto_es.adapters.architects.router.python`` with everything it needs
in the environment (see ``settings``). It knows nothing of tasks: it turns HTTP requests into
packets, keeps agents' sockets, and keeps every packet a worker made on disk until the operator
has acknowledged it.
"""
