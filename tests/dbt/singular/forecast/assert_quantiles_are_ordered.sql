-- No forecast has its bounds the wrong way round; a missing bound breaks nothing.
with forecast as (select * from {{ ref('fct_forecast') }})

select
    restaurant_id,
    inventory_item_id,
    business_date,
    y_05,
    y_50,
    y_95
from forecast
where
    y_05 > y_50
    or y_50 > y_95
    or y_05 > y_95
