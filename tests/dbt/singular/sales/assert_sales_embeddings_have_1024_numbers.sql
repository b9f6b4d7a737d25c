-- An embedding has 1,024 numbers, or vector(1024) in Postgres refuses the sync of its product.
with products as (select * from {{ ref('product_embeddings') }})

select
    tenant_id,
    product_id,
    cardinality(embedding) as dimensions
from products
where
    embedding is null
    or cardinality(embedding) != 1024
