"""Plans of statements in Trino's shape, for EXPLAIN. They are told from the query; this server runs it its own way."""

from athena_local.sql.plans.build import Planner
from athena_local.sql.plans.nodes import Fragment, Node, Symbol, fragments

__all__ = ["Fragment", "Node", "Planner", "Symbol", "fragments"]
