-- One row per landed file: what it holds, and how many of its rows a later file has overruled.
with source_rows as (
    select
        "$path" as file_path,
        max(cast("$file_modified_time" as timestamp)) as file_landed_at,
        count(*) as row_count,
        min(business_date) as first_business_date,
        max(business_date) as last_business_date
    from {{ source('forecast', 'forecast') }}
    group by "$path"
),

demand as (select * from {{ ref('stg_forecast__demand') }}),

in_force as (
    select
        file_path,
        count(*) as row_count
    from demand
    group by file_path
)

select
    source_rows.file_path,
    source_rows.file_landed_at,
    source_rows.first_business_date,
    source_rows.last_business_date,
    source_rows.row_count,
    source_rows.row_count - coalesce(in_force.row_count, 0) as overruled_row_count
from source_rows
left join in_force
    on source_rows.file_path = in_force.file_path
order by source_rows.file_landed_at, source_rows.file_path
