-- How are prices spread within each category?
--
-- Read: one row per category. Percentiles are exact, and each is a price that was paid: the lowest
-- one that so many per cent of the sales do not exceed. Where mean_price lies well above the
-- median, a few dear sales pull it up; (p75 - p25) is where the middle half lies.
-- Cost: category and sold_price of the whole table, and a sort of it; approx_percentile() would
-- save the sort and be off by up to a few per cent.
with sales as (select * from {{ ref('sales_history') }}),

ranked as (
    select
        category,
        sold_price,
        row_number() over (partition by category order by sold_price) as place,
        count(*) over (partition by category) as category_sales
    from sales
    where sold_price is not null
)

select
    category,
    count(*) as sale_count,
    min(sold_price) as lowest_price,
    min(if(20 * place >= category_sales, sold_price)) as p05,
    min(if(4 * place >= category_sales, sold_price)) as p25,
    min(if(2 * place >= category_sales, sold_price)) as median,
    min(if(4 * place >= 3 * category_sales, sold_price)) as p75,
    min(if(20 * place >= 19 * category_sales, sold_price)) as p95,
    max(sold_price) as highest_price,
    avg(sold_price) as mean_price,
    stddev_pop(cast(sold_price as double)) as standard_deviation
from ranked
group by category
order by median desc, category asc
