"""Penstock: the pipe from an S3 lake, modelled by dbt on Athena, to Postgres."""
