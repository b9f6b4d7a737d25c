"""Whether the lake and Postgres are as declared: what `invoke verify` asks, by source. Reads only.

    expected   what must be: the declared sources, the last build's manifest
    landed     database, external table, landed files, archived ones among them
    marts      kind, columns, partition spec, properties, codecs in the files' footers
    files      every file of every snapshot is there, with its size
    rows       landed = staged = modelled = synced, and where not: which month, which key
    run        all of it, in that order

docs/verify.md says what each check means, and what it takes.
"""
