-- One row per tenant and product: what its latest sale says it is, and its embedding.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['tenant_id', 'product_id'],
    delete_condition='src.category is null',
    insert_condition='src.category is not null',
    on_schema_change='fail',
) }}

with sales as (select * from {{ ref('sales_history') }}),

latest as (
    select
        tenant_id,
        product_id,
        max(sold_date) as sold_date
    from sales
    group by tenant_id, product_id
),

products as (
    select
        sales.tenant_id,
        sales.product_id,
        sales.category,
        sales.brand,
        sales.description,
        sales.image_s3_key,
        sales.embedding
    from sales
    -- A semi-join: the engine holds the keys in memory and not the embeddings, whatever it takes
    -- for the smaller side.
    where
        (sales.tenant_id, sales.product_id, sales.sold_date) in (
            select
                latest.tenant_id,
                latest.product_id,
                latest.sold_date
            from latest
        )
),

final as (
    {% if is_incremental() %}
    {{ only_changes(
        rows='products',
        key=['tenant_id', 'product_id'],
        values=['category', 'brand', 'description', 'image_s3_key', 'embedding'],
        tombstone='category',
        wide=['embedding'],
    ) }}
    {% else %}
    select * from products
    {% endif %}
)

select * from final
