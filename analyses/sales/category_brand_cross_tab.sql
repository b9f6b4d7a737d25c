-- Which brands sell in which categories?
--
-- Read: one row per category and brand, with the cross-tab's margins in rows of their own: level
-- 'category' is a category's total (brand is null), 'brand' a brand's, 'all' the grand total.
-- share_of_category and share_of_brand are the cell's part of its row and of its column. lift above
-- 1: the brand sells more in this category than its size and the category's would lead one to
-- expect. Pairs that never sold have no row.
-- Cost: category, brand and sold_price of the whole table, read once for cells and margins.
with sales as (select * from {{ ref('sales_history') }}),

cells as (
    select
        category,
        brand,
        grouping(category, brand) as margin,
        count(*) as sale_count,
        sum(sold_price) as revenue,
        avg(sold_price) as mean_price
    from sales
    group by grouping sets ((category, brand), (category), (brand), ())
),

totalled as (
    select
        *,
        cast(sale_count as double) as cell_sales,
        max(if(margin = 1, sale_count)) over (partition by category) as category_sales,
        max(if(margin = 2, sale_count)) over (partition by brand) as brand_sales,
        max(sale_count) over () as all_sales
    from cells
)

select
    case margin
        when 0 then 'cell' when 1 then 'category' when 2 then 'brand' else 'all'
    end as level,
    category,
    brand,
    sale_count,
    revenue,
    mean_price,
    if(margin = 0, cell_sales / category_sales) as share_of_category,
    if(margin = 0, cell_sales / brand_sales) as share_of_brand,
    if(margin = 0, cell_sales * all_sales / category_sales / brand_sales) as lift
from totalled
order by margin, category, brand
