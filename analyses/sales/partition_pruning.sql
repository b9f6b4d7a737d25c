-- What does a question about one month cost, when the table is partitioned by month?
-- Params: year (2025), month (6)
--
-- Read: one row per category sold in that month. The answer is ordinary; what matters is the bytes
-- scanned: the conditions name the partition keys, so Athena opens that month's files alone. Its
-- twin (partition_pruning_unpruned) asks for the same rows by a condition that no partition or file
-- statistic can answer, and reads every month. `invoke query` and `invoke query.library` show both.
-- Cost: category, sold_price and sold_date of one month: of two years, about a 24th of the twin's.
with sales as (select * from {{ ref('sales_history') }})

select
    category,
    count(*) as sale_count,
    sum(sold_price) as revenue,
    min(sold_date) as first_sold_at,
    max(sold_date) as last_sold_at
from sales
where
    year = {{ var('year', 2025) | int }}
    and month = {{ var('month', 6) | int }}
group by category
order by revenue desc, category asc
