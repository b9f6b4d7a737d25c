"""Athena, Glue and LakeFormation on the wire: AWS JSON 1.1 and REST, over one HTTP port. Knows no SQL."""
