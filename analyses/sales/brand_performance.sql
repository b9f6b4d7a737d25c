-- Which brands bring in the most, and are they dear for what they sell?
--
-- Read: one row per brand, the one with the highest revenue first. price_index compares the brand's
-- prices with the mean price of the same category: 1.20 is a fifth above it. A brand of one
-- category only and one of ten can so be compared, which mean_price alone does not allow.
-- Cost: brand, category, sold_price, tenant_id and product_id of the whole table.
with sales as (select * from {{ ref('sales_history') }}),

priced as (
    select
        brand,
        tenant_id,
        product_id,
        sold_price,
        avg(cast(sold_price as double)) over (partition by category) as category_mean_price
    from sales
),

by_brand as (
    select
        brand,
        count(*) as sale_count,
        -- a product is a tenant's own: two tenants may use one id for different things
        count(distinct row(tenant_id, product_id)) as product_count,
        sum(sold_price) as revenue,
        avg(sold_price) as mean_price,
        cast(sum(sold_price) as double) / sum(category_mean_price) as price_index
    from priced
    group by brand
)

select
    rank() over (order by revenue desc) as place,
    brand,
    sale_count,
    product_count,
    revenue,
    cast(revenue as double) / cast(sum(revenue) over () as double) as share_of_revenue,
    mean_price,
    price_index
from by_brand
order by place, brand
