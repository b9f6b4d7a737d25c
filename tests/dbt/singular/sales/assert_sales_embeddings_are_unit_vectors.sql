-- An embedding has 1,024 numbers and unit length: cosine distance and the index rest on it. The
-- length may be off by a thousandth, far more than float32 makes it; none is off today.
with products as (select * from {{ ref('product_embeddings') }})

select
    tenant_id,
    product_id,
    cardinality(embedding) as dimensions
from products
where
    embedding is null
    or cardinality(embedding) != 1024
    or abs(reduce(embedding, 0e0, (s, x) -> s + x * x, s -> s) - 1e0) > 2e-3
