"""A local Athena with its Glue Data Catalog, beside any S3 endpoint. Imports nothing of penstock."""
