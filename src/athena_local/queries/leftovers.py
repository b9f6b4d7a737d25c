"""What Athena adds to the reason of a statement that failed while it wrote: where its files may be left.

Here nothing is left, but the text is the engine's own and clients look for its parts.
"""

from __future__ import annotations

from athena_local.errors import QueryError

_CTAS = "You may need to manually clean the data at location '{output}tables/{query_id}' before retrying."
_INSERT = (
    "If a data manifest file was generated at '{output}{query_id}-manifest.csv', you may need to manually clean the data"
    " from locations specified in the manifest."
)
_SENTENCES = {"CREATE_TABLE_AS_SELECT": _CTAS, "INSERT": _INSERT, "UNLOAD": _INSERT}


def told(error: QueryError, substatement_type: str, output_location: str, query_id: str) -> QueryError:
    """Return the error with the sentence of its kind of statement; what the engine never saw has no code, and none."""
    sentence = _SENTENCES.get(substatement_type)
    if sentence is None or not error.code:
        return error
    where = sentence.format(output=output_location, query_id=query_id)
    return QueryError(
        error.code,
        f"{error.text.rstrip('.')}. {where} Athena will not delete data in your account.",
        position=error.position,
        category=error.category,
        retryable=error.retryable,
        error_type=error.error_type,
    )
