"""Lake to Postgres: plan -> extract -> apply -> verify, one transaction a table. docs/sync.md tells the whole."""
