-- How do the seasons compare, within a year and with the year before?
--
-- Read: one row per year and season (Q1 to Q4), oldest first. price_index divides the season's
-- prices by the year's mean for the same category, brand and condition, so it shows what the season
-- does and not what happened to be sold in it. change_on_year is of revenue, null where the year
-- before has no such season. A season that is not over yet has few sales: days_sold tells.
-- Cost: category, brand, condition, season, sold_date and sold_price of the whole table.
with sales as (select * from {{ ref('sales_history') }}),

priced as (
    select
        year,
        season,
        sold_date,
        sold_price,
        avg(cast(sold_price as double)) over (
            partition by year, category, brand, condition
        ) as usual_price
    from sales
),

by_season as (
    select
        year,
        season,
        count(*) as sale_count,
        count(distinct date(sold_date)) as days_sold,
        sum(sold_price) as revenue,
        avg(sold_price) as mean_price,
        cast(sum(sold_price) as double) / sum(usual_price) as price_index
    from priced
    group by year, season
)

select
    this_year.year,
    this_year.season,
    this_year.sale_count,
    this_year.days_sold,
    this_year.revenue,
    cast(this_year.revenue as double)
    / cast(sum(this_year.revenue) over (partition by this_year.year) as double) as share_of_year,
    this_year.mean_price,
    this_year.price_index,
    cast(this_year.revenue as double) / cast(last_year.revenue as double) - 1 as change_on_year
from by_season as this_year
left join by_season as last_year
    on
        this_year.year = last_year.year + 1
        and this_year.season = last_year.season
order by this_year.year, this_year.season
