-- One row per restaurant: its market, distribution centre and state.
--
-- Built like fct_forecast: only the rows that differ are merged, so that a build with nothing new
-- commits nothing here either.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['restaurant_id'],
    delete_condition='src.state is null',
    insert_condition='src.state is not null',
    on_schema_change='fail',
) }}

with forecast as (select * from {{ ref('fct_forecast') }}),

ranked as (
    select
        restaurant_id,
        dma_id,
        dc_id,
        state,
        -- All rows of a restaurant agree (assert_restaurant_attributes_never_change); the last
        -- makes it definite.
        row_number() over (
            partition by restaurant_id
            order by business_date desc, inventory_item_id asc
        ) as recency
    from forecast
),

restaurants as (
    select
        restaurant_id,
        dma_id,
        dc_id,
        state
    from ranked
    where recency = 1
),

final as (
    {% if is_incremental() %}
    {{ only_changes(
        rows='restaurants',
        key=['restaurant_id'],
        values=['dma_id', 'dc_id', 'state'],
        tombstone='state',
    ) }}
    {% else %}
    select * from restaurants
    {% endif %}
)

select * from final
