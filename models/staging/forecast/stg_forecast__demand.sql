-- One row per restaurant, inventory item and business date: the row of the file landed last.
-- Read without an import CTE: `select *` leaves out "$path" and "$file_modified_time".
with typed as (
    select
        restaurant_id,
        inventory_item_id,
        business_date,
        -- An empty field reaches Athena as '', which is no market.
        nullif(dma_id, '') as dma_id,
        dc_id,
        state,
        y_05,
        y_50,
        y_95,
        -- Cast here: Athena refuses a view with a column of type timestamp with time zone.
        cast("$file_modified_time" as timestamp) as file_landed_at,
        "$path" as file_path
    from {{ source('forecast', 'forecast') }}
),

ranked as (
    select
        *,
        -- rank, not row_number: it chooses between files, never within one.
        rank() over (
            partition by restaurant_id, inventory_item_id, business_date
            order by file_landed_at desc, file_path desc
        ) as recency
    from typed
),

final as (
    select
        -- keys
        restaurant_id,
        inventory_item_id,
        business_date,
        -- facts
        dma_id,
        dc_id,
        state,
        y_05,
        y_50,
        y_95,
        -- timestamps
        file_landed_at,
        file_path
    from ranked
    -- Drops what an older file said of a key that a newer file repeats: a daily drop restates days
    -- already landed.
    where recency = 1
)

select * from final
