"""Athena SQL: parsed, resolved against the catalog, and translated to DuckDB's. Text is never passed through.

The layers, each knowing only those above it:

    lexer          tokens with their places
    grammar/       Trino's grammar to the letter: accepts or refuses, builds nothing
    trees          sqlglot's tree of what the grammar accepted; names told apart from keywords by the grammar's word
    parse, ddl, writes, statements
                   which statement it is, as a value of its own
    scope          what a name can mean at a place: `Relation`, `Output` (a column with its type), `Scope`
    queries/       clause by clause: names resolved, stars and views expanded, grouping and nesting checked
    expressions/   node by node: `Typed` is a translated node with its Athena type
    translate      the query as a whole, its columns' names and types; DuckDB's text

Resolving, typing and translating an expression is one step, `Expressions.translate(node, scope) -> Typed`: its result has
the type, its error has Trino's words. Everything that asks for types goes through it: `GroupBy` compares what expressions
mean by it, `values` and `set_operations` find common types by it. A semantic pass of its own would stand in the same place,
between `trees` and `queries/`: it is given the same tree and the same `Scope`, and what it found would be read where
`Typed.type` is read now.
"""

from athena_local.sql.parse import parse_statement
from athena_local.sql.statements import Statement

__all__ = ["Statement", "parse_statement"]
