-- One row per tenant, product and moment of sale: the sale in force.
--
-- Lies beside what landed (pricing_intelligence_<environment>), a preview's among its own marts
-- (dbt_project.yml). A build writes only what differs (see only_changes); embeddings, 8 kB a row,
-- are compared by checksum. A sale that is gone arrives as its key with sold_price null, which none
-- has (stg_sales__sales tests it before this is built). Two years are 24 partitions; Athena writes
-- at most 100 at once, for which a first build of more than eight years would have to be split.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['tenant_id', 'product_id', 'sold_date'],
    delete_condition='src.sold_price is null',
    insert_condition='src.sold_price is not null',
    on_schema_change='fail',
    partitioned_by=['year', 'month'],
    write_compression='snappy',
) }}

with landed as (select * from {{ ref('stg_sales__sales') }}),

sales as (
    select
        product_id,
        tenant_id,
        category,
        brand,
        condition,
        sold_price,
        -- What Parquet on Hive reads has milliseconds; Iceberg keeps microseconds.
        cast(sold_date as timestamp(6)) as sold_date,
        season,
        image_s3_key,
        embedding,
        description,
        source,
        cast(year(sold_date) as integer) as year,
        cast(month(sold_date) as integer) as month
    from landed
),

changes as (
    {% if is_incremental() %}
    {{ only_changes(
        rows='sales',
        key=['tenant_id', 'product_id', 'sold_date'],
        values=[
            'category', 'brand', 'condition', 'sold_price', 'season', 'image_s3_key', 'embedding',
            'description', 'source', 'year', 'month',
        ],
        tombstone='sold_price',
        wide=['embedding'],
        landed='sales.sales',
        day='sold_date',
    ) }}
    {% else %}
    select * from sales
    {% endif %}
),

final as (
    select
        product_id,
        tenant_id,
        category,
        brand,
        condition,
        sold_price,
        sold_date,
        season,
        image_s3_key,
        embedding,
        description,
        source,
        year,
        month
    from changes
)

select * from final
