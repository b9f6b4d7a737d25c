-- How much of each category is sold in each month?
--
-- Read: one row per month and category that sold; the latest month first, its largest category on
-- top. share_of_month adds up to 1 within a month. A month without a sale has no row.
-- Cost: two small columns of the whole table (category, sold_price); year and month are partition
-- values, which cost nothing.
with sales as (select * from {{ ref('sales_history') }}),

by_month as (
    select
        year,
        month,
        category,
        count(*) as sale_count,
        sum(sold_price) as revenue,
        avg(sold_price) as mean_price
    from sales
    group by year, month, category
)

select
    year,
    month,
    category,
    sale_count,
    revenue,
    mean_price,
    cast(sale_count as double) / sum(sale_count) over (partition by year, month) as share_of_month
from by_month
order by year desc, month desc, sale_count desc, category asc
