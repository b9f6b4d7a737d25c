-- Which products look most like this one?
-- Params: product_id, tenant_id (of the product looked at), k (how many, 10)
--
-- Read: one row per candidate of the same tenant, the most alike first. similarity is the cosine of
-- the angle between the two embeddings: 1 is the same direction, 0 unrelated. A product's embedding
-- is that of its latest sale. Without product_id it looks at the product sold last of all (of the
-- tenant, where one is named). price_ratio compares the latest prices.
-- Cost: the embeddings of the whole table, 8 kB a row: the dearest query of this library by far.
-- For many questions ask Postgres, whose index on product_embeddings answers in milliseconds.
{% set product_id = var('product_id', '') | string | replace("'", "''") %}
{% set tenant_id = var('tenant_id', '') | string | replace("'", "''") %}
with sales as (select * from {{ ref('sales_history') }}),

-- one row per product: its latest sale
products as (
    select
        tenant_id,
        product_id,
        max(sold_date) as last_sold_at,
        max_by(category, sold_date) as category,
        max_by(brand, sold_date) as brand,
        max_by(sold_price, sold_date) as price,
        max_by(embedding, sold_date) as embedding
    from sales
    {% if tenant_id %}
    where tenant_id = '{{ tenant_id }}'
    {% endif %}
    group by tenant_id, product_id
),

looked_at as (
    select *
    from products
    {% if product_id %}
    where product_id = '{{ product_id }}'
    {% endif %}
    order by last_sold_at desc, tenant_id asc, product_id asc
    limit 1
),

compared as (
    select
        looked_at.tenant_id,
        looked_at.product_id as like_product_id,
        products.product_id,
        products.category,
        products.brand,
        products.price,
        cast(products.price as double) / cast(looked_at.price as double) as price_ratio,
        -- plain functions of arrays, so that it runs on any version of the engine
        reduce(
            zip_with(products.embedding, looked_at.embedding, (x, y) -> x * y),
            0e0, (s, x) -> s + x, s -> s
        ) as product_sum,
        sqrt(reduce(products.embedding, 0e0, (s, x) -> s + x * x, s -> s)) as product_norm,
        sqrt(reduce(looked_at.embedding, 0e0, (s, x) -> s + x * x, s -> s)) as looked_at_norm
    from looked_at
    inner join products
        on
            looked_at.tenant_id = products.tenant_id
            and looked_at.product_id <> products.product_id
    -- vectors of other lengths have no angle between them
    where cardinality(products.embedding) = cardinality(looked_at.embedding)
)

select
    tenant_id,
    like_product_id,
    product_id,
    category,
    brand,
    price,
    price_ratio,
    product_sum / (product_norm * looked_at_norm) as similarity
from compared
where product_norm > 0 and looked_at_norm > 0
order by similarity desc, product_id asc
limit {{ var('k', 10) | int }}
