"""Queries from submission to stored result: the queue, the history, the result files. Knows no SQL and no HTTP."""
