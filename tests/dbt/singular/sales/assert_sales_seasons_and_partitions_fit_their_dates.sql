-- Season, year and month are those of the moment of sale.
with sales as (select * from {{ ref('sales_history') }})

select
    tenant_id,
    product_id,
    sold_date,
    season,
    year,
    month
from sales
where
    season is distinct from concat('Q', cast(quarter(sold_date) as varchar))
    or year is distinct from year(sold_date)
    or month is distinct from month(sold_date)
