-- One row per tenant, product and moment of sale: the row of the file landed last.
-- Read without an import CTE: `select *` leaves out "$path" and "$file_modified_time".
with typed as (
    select
        tenant_id,
        product_id,
        sold_date,
        category,
        brand,
        condition,
        sold_price,
        season,
        image_s3_key,
        embedding,
        description,
        source,
        -- Cast here: Athena refuses a view with a column of type timestamp with time zone.
        cast("$file_modified_time" as timestamp) as file_landed_at,
        "$path" as file_path
    from {{ source('sales', 'sales') }}
),

-- Ranked without the embeddings, 8 kB a row: a window holds its rows in memory.
ranked as (
    select
        tenant_id,
        product_id,
        sold_date,
        file_path,
        -- rank, not row_number: it chooses between files, never within one.
        rank() over (
            partition by tenant_id, product_id, sold_date
            order by file_landed_at desc, file_path desc
        ) as recency
    from typed
),

in_force as (
    select distinct
        tenant_id,
        product_id,
        sold_date,
        file_path
    from ranked
    where recency = 1
),

final as (
    select
        -- keys
        typed.tenant_id,
        typed.product_id,
        typed.sold_date,
        -- facts
        typed.category,
        typed.brand,
        typed.condition,
        typed.sold_price,
        typed.season,
        typed.image_s3_key,
        typed.embedding,
        typed.description,
        typed.source,
        -- timestamps
        typed.file_landed_at,
        typed.file_path
    from typed
    -- Drops what an older file said of a sale that a newer file repeats: late and corrected sales
    -- come in files of their own.
    inner join in_force
        on
            typed.tenant_id = in_force.tenant_id
            and typed.product_id = in_force.product_id
            and typed.sold_date = in_force.sold_date
            and typed.file_path = in_force.file_path
)

select * from final
