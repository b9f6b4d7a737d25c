-- The unpruned twin of partition_pruning: the same rows, from every month's files.
-- Params: year (2025), month (6)
--
-- Read: as partition_pruning. date_format() hides the date from the planner, as functions around a
-- column often do by accident; year(sold_date) = 2025 would not, for Trino turns it into a range.
-- Cost: category, sold_price and sold_date of the whole table.
with sales as (select * from {{ ref('sales_history') }})

select
    category,
    count(*) as sale_count,
    sum(sold_price) as revenue,
    min(sold_date) as first_sold_at,
    max(sold_date) as last_sold_at
from sales
where
    date_format(sold_date, '%Y-%c')
    = '{{ var('year', 2025) | int }}-{{ var('month', 6) | int }}'
group by category
order by revenue desc, category asc
