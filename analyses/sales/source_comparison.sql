-- Do the data sources tell the same story?
--
-- Read: one row per source, the largest first. price_index divides its prices by the mean price of
-- the same category, brand and condition over all sources: one that is far from 1 records other
-- prices for the same goods (fees included, another currency, a biased sample), and is to be looked
-- at before its rows are mixed with others. The last columns tell how complete it is.
-- Cost: every column but season and embedding; image_s3_key and description make up most of it.
with sales as (select * from {{ ref('sales_history') }}),

priced as (
    select
        source,
        tenant_id,
        product_id,
        sold_date,
        sold_price,
        image_s3_key,
        description,
        avg(cast(sold_price as double)) over (
            partition by category, brand, condition
        ) as usual_price
    from sales
)

select
    source,
    count(*) as sale_count,
    cast(count(*) as double) / sum(count(*)) over () as share_of_sales,
    count(distinct tenant_id) as tenant_count,
    count(distinct row(tenant_id, product_id)) as product_count,
    sum(sold_price) as revenue,
    avg(sold_price) as mean_price,
    cast(sum(sold_price) as double) / sum(usual_price) as price_index,
    min(sold_date) as first_sold_at,
    max(sold_date) as last_sold_at,
    count_if(coalesce(image_s3_key, '') = '') as without_image_count,
    count_if(coalesce(description, '') = '') as without_description_count
from priced
group by source
order by sale_count desc, source asc
