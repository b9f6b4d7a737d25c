-- One row per business date and state: totals and means of the three quantiles.
--
-- Quantiles count to the cent, as Postgres holds them; decimals for the reason
-- forecast_summary_by_state gives. A null bound (y_05, y_95) counts in no total and no mean.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['business_date', 'state'],
    delete_condition='src.record_count is null',
    insert_condition='src.record_count is not null',
    on_schema_change='fail',
    partitioned_by=['month(business_date)'],
) }}

with forecast as (select * from {{ ref('fct_forecast') }}),

quantiles as (
    select
        business_date,
        state,
        cast(y_05 as decimal(18, 2)) as y_05,
        cast(y_50 as decimal(18, 2)) as y_50,
        cast(y_95 as decimal(18, 2)) as y_95
    from forecast
),

summary as (
    select
        business_date,
        state,
        count(*) as record_count,
        cast(sum(y_05) as decimal(18, 2)) as total_y_05,
        cast(sum(y_50) as decimal(18, 2)) as total_y_50,
        cast(sum(y_95) as decimal(18, 2)) as total_y_95,
        avg(cast(y_05 as decimal(18, 4))) as avg_y_05,
        avg(cast(y_50 as decimal(18, 4))) as avg_y_50,
        avg(cast(y_95 as decimal(18, 4))) as avg_y_95
    from quantiles
    group by business_date, state
),

final as (
    {% if is_incremental() %}
    {{ only_changes(
        rows='summary',
        key=['business_date', 'state'],
        values=[
            'record_count', 'total_y_05', 'total_y_50', 'total_y_95', 'avg_y_05', 'avg_y_50', 'avg_y_95',
        ],
        tombstone='record_count',
    ) }}
    {% else %}
    select * from summary
    {% endif %}
)

select * from final
