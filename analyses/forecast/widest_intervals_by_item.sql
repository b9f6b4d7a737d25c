-- The inventory items whose forecasts are least certain: width of the 5%-95% interval over the
-- median.
with forecast as (select * from {{ ref('fct_forecast') }})

select
    inventory_item_id,
    count(*) as forecast_count,
    avg(y_50) as mean_y_50,
    avg(y_95 - y_05) as mean_interval,
    sum(y_95 - y_05) / nullif(sum(y_50), 0) as relative_interval
from forecast
where
    y_05 is not null
    and y_95 is not null
group by inventory_item_id
order by relative_interval desc, inventory_item_id asc
