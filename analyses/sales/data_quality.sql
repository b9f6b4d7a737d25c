-- Is anything wrong with the sales, and how much of it?
-- Params: dimensions (numbers in an embedding, 1024)
--
-- Read: one row per check, those that found something first. failing_count should be 0; of a table
-- that was built from files checked by `invoke seed` it is. share is of all rows.
-- Cost: every column of the whole table, embeddings included.
with sales as (select * from {{ ref('sales_history') }}),

distinct_keys as (
    select distinct
        tenant_id,
        product_id,
        sold_date
    from sales
),

keys as (select count(*) as key_count from distinct_keys),

counts as (
    select
        count(*) as row_count,
        count_if(tenant_id is null or product_id is null or sold_date is null) as null_key,
        count_if(category is null or brand is null or condition is null) as null_attribute,
        count_if(sold_price is null or sold_price <= 0) as bad_price,
        count_if(sold_date > cast(current_timestamp as timestamp)) as future_sale,
        count_if(
            season is distinct from concat('Q', cast(quarter(sold_date) as varchar))
        ) as wrong_season,
        count_if(
            year is distinct from year(sold_date) or month is distinct from month(sold_date)
        ) as wrong_partition,
        count_if(
            embedding is null or cardinality(embedding) <> {{ var('dimensions', 1024) | int }}
        ) as wrong_dimensions,
        -- a null among the numbers makes the sum null: no length either
        count_if(
            not coalesce(
                abs(reduce(embedding, 0e0, (s, x) -> s + x * x, s -> s) - 1) < 1e-6, false
            )
        ) as not_unit_length,
        count_if(coalesce(image_s3_key, '') = '') as without_image,
        count_if(coalesce(description, '') = '') as without_description,
        count_if(source is null) as without_source
    from sales
),

checks as (
    select
        counts.row_count,
        found.check_name,
        found.failing_count
    from counts
    cross join keys
    cross join unnest(
        array[
            row('key is null', counts.null_key),
            row('key occurs twice', counts.row_count - keys.key_count),
            row('category, brand or condition is null', counts.null_attribute),
            row('price is null or not above 0', counts.bad_price),
            row('sold in the future', counts.future_sale),
            row('season is not that of the date', counts.wrong_season),
            row('year or month is not that of the date', counts.wrong_partition),
            row('embedding has other dimensions', counts.wrong_dimensions),
            row('embedding is not of unit length', counts.not_unit_length),
            row('image is missing', counts.without_image),
            row('description is missing', counts.without_description),
            row('source is null', counts.without_source)
        ]
    ) as found (check_name, failing_count)
)

select
    check_name,
    failing_count,
    row_count,
    cast(failing_count as double) / nullif(row_count, 0) as share
from checks
order by failing_count desc, check_name asc
