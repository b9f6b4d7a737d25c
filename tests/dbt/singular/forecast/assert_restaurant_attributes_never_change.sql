-- A restaurant keeps its market, distribution centre and state on all days and for all items:
-- dim_restaurant rests on it.
with forecast as (select * from {{ ref('fct_forecast') }})

select
    restaurant_id,
    count(distinct coalesce(dma_id, '')) as market_count,
    count(distinct coalesce(dc_id, -1)) as distribution_centre_count,
    count(distinct state) as state_count
from forecast
group by restaurant_id
having
    count(distinct coalesce(dma_id, '')) > 1
    or count(distinct coalesce(dc_id, -1)) > 1
    or count(distinct state) > 1
