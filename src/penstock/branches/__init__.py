"""Database branches: a copy of a target's Postgres for one preview. Neon's own on AWS, template databases locally."""
