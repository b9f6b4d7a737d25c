-- Which products are worth the most?
-- Params: top (how many, 20), tenant_id (one tenant's only)
--
-- Read: one row per product of a tenant, the highest revenue first, ties in order of tenant and
-- product. share_of_revenue is of all that was sold, or of the tenant's; running_share says how
-- much the list so far makes up: a steep one means few products carry the business. Category and
-- brand are those of the product's latest sale.
-- Cost: six small columns of the whole table; a tenant's sales lie among everyone's, so naming one
-- scans no less.
{% set tenant_id = var('tenant_id', '') | string | replace("'", "''") %}
with sales as (select * from {{ ref('sales_history') }}),

by_product as (
    select
        tenant_id,
        product_id,
        max_by(category, sold_date) as category,
        max_by(brand, sold_date) as brand,
        count(*) as sale_count,
        sum(sold_price) as revenue,
        avg(sold_price) as mean_price,
        max(sold_price) as highest_price,
        max(sold_date) as last_sold_at
    from sales
    {% if tenant_id %}
    where tenant_id = '{{ tenant_id }}'
    {% endif %}
    group by tenant_id, product_id
),

ranked as (
    select
        *,
        row_number() over (order by revenue desc, tenant_id asc, product_id asc) as place,
        cast(sum(revenue) over () as double) as total_revenue
    from by_product
)

select
    place,
    tenant_id,
    product_id,
    category,
    brand,
    sale_count,
    revenue,
    mean_price,
    highest_price,
    last_sold_at,
    cast(revenue as double) / total_revenue as share_of_revenue,
    cast(sum(revenue) over (order by place) as double) / total_revenue as running_share
from ranked
where place <= {{ var('top', 20) | int }}
order by place
