-- One row per restaurant, inventory item and business date: the forecast in force.
--
-- A build writes only what differs from the table as it stands (see only_changes): the MERGE
-- touches no month whose content is unchanged, empties a month that vanished, and commits no
-- snapshot when nothing is new. A row that is gone arrives as its key with y_50 null, which no
-- forecast has (stg_forecast__demand tests it before this is built); under an enforced contract
-- there is no room for a flag column. A change of columns needs --full-refresh.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['restaurant_id', 'inventory_item_id', 'business_date'],
    delete_condition='src.y_50 is null',
    insert_condition='src.y_50 is not null',
    on_schema_change='fail',
    partitioned_by=['month(business_date)'],
) }}

with demand as (select * from {{ ref('stg_forecast__demand') }}),

forecast as (
    select
        restaurant_id,
        inventory_item_id,
        business_date,
        dma_id,
        dc_id,
        state,
        y_05,
        y_50,
        y_95
    from demand
),

final as (
    {% if is_incremental() %}
    {{ only_changes(
        rows='forecast',
        key=['restaurant_id', 'inventory_item_id', 'business_date'],
        values=['dma_id', 'dc_id', 'state', 'y_05', 'y_50', 'y_95'],
        tombstone='y_50',
        landed='forecast.forecast',
        day='business_date',
    ) }}
    {% else %}
    select * from forecast
    {% endif %}
)

select * from final
