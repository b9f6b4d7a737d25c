-- What does a product's condition do to its price?
--
-- Read: one row per condition, the dearest first. price_index divides what was paid by the mean
-- price of the same category and brand, whatever the condition: 0.80 means a fifth below what such
-- things go for. mean_price mixes dear and cheap categories and is there for comparison: where the
-- two disagree, the condition is sold in another mix of goods.
-- Cost: condition, category, brand and sold_price of the whole table.
with sales as (select * from {{ ref('sales_history') }}),

priced as (
    select
        condition,
        sold_price,
        avg(cast(sold_price as double)) over (partition by category, brand) as usual_price
    from sales
)

select
    condition,
    count(*) as sale_count,
    cast(count(*) as double) / sum(count(*)) over () as share_of_sales,
    avg(sold_price) as mean_price,
    min(sold_price) as lowest_price,
    max(sold_price) as highest_price,
    cast(sum(sold_price) as double) / sum(usual_price) as price_index
from priced
group by condition
order by price_index desc, condition asc
