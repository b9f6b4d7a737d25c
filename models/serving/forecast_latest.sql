-- One row per restaurant and inventory item: the forecast for the last business date there is.
-- Read through source(), for ref() would name a table of the lake; the next line keeps the lineage.
-- depends_on: {{ ref('fct_forecast') }}
with forecast as (select * from {{ source('postgres', 'forecast_data') }}),

final as (
    select distinct on (restaurant_id, inventory_item_id)
        restaurant_id,
        inventory_item_id,
        business_date,
        dma_id,
        dc_id,
        state,
        y_05,
        y_50,
        y_95
    from forecast
    order by
        restaurant_id asc,
        inventory_item_id asc,
        business_date desc
)

select * from final
