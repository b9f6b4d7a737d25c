-- Where are sales going, month by month?
--
-- Read: one row per month that sold, oldest first. Changes are relative: 0.10 is a tenth more
-- revenue than in the month before (or the same month a year before); null where that month sold
-- nothing or lies before the data. smoothed_revenue is the mean of the month and the two calendar
-- months before it, of those that sold.
-- Cost: sold_price of the whole table; year and month are partition values, which cost nothing.
with sales as (select * from {{ ref('sales_history') }}),

by_month as (
    select
        year,
        month,
        -- months counted through, so that the one before January is December
        12 * year + month as month_number,
        count(*) as sale_count,
        sum(sold_price) as revenue,
        avg(sold_price) as mean_price
    from sales
    group by year, month
)

select
    this_month.year,
    this_month.month,
    this_month.sale_count,
    this_month.revenue,
    this_month.mean_price,
    cast(this_month.revenue as double) / cast(last_month.revenue as double) - 1 as change_on_month,
    cast(this_month.revenue as double) / cast(last_year.revenue as double) - 1 as change_on_year,
    avg(cast(this_month.revenue as double)) over (
        order by this_month.month_number range between 2 preceding and current row
    ) as smoothed_revenue
from by_month as this_month
left join by_month as last_month on this_month.month_number = last_month.month_number + 1
left join by_month as last_year on this_month.month_number = last_year.month_number + 12
order by this_month.month_number
