{#- plpgsql, for Postgres; _serving__functions.yml declares it and macros/serving/functions.sql makes it. -#}
{%- set products = source('postgres', 'product_embeddings') -%}
#variable_conflict use_column
-- Read through source(), for ref() would name a table of the lake; the next line keeps the lineage.
-- depends_on: {{ ref('product_embeddings') }}
declare
    -- Up to so many products of a tenant are all compared: exact, and no slower than the index (docs/vectors.md has figures).
    exact_products constant bigint := {{ var('similarity_exact_products') }};
    asked vector;
    candidates text[];
    tenant_products bigint;
begin
    if k is null or k not between 1 and 1000 then
        raise exception 'similar_products: k is %, and must be from 1 to 1000.', coalesce(k::text, 'null')
            using errcode = 'invalid_parameter_value';
    end if;

    select p.embedding into asked
    from {{ products }} as p
    where p.tenant_id = similar_products.tenant and p.product_id = similar_products.product;
    if not found then
        if exists (select from {{ products }} as p where p.tenant_id = similar_products.tenant) then
            raise exception 'similar_products: tenant % has no product %.',
                quote_nullable(tenant), quote_nullable(product)
                using errcode = 'no_data_found', hint = 'product_embeddings lists those that it has.';
        end if;
        raise exception 'similar_products: there is no tenant % whose products role % may read.',
            quote_nullable(tenant), quote_ident(current_user)
            using errcode = 'no_data_found',
            hint = 'A role reads the products of the tenants whose roles it has.';
    end if;
    if asked is null then
        raise exception 'similar_products: product % of tenant % has no embedding.',
            quote_nullable(product), quote_nullable(tenant)
            using errcode = 'no_data_found';
    end if;

    select count(*) into tenant_products
    from (
        select from {{ products }} as p where p.tenant_id = similar_products.tenant limit exact_products + 1
    ) as counted;

    if tenant_products > exact_products then
        -- The index gives neighbours of all tenants, about in order; the scan goes on until enough are the tenant's own. More than
        -- k are taken, for among four times as many the true k are found more surely.
        select array_agg(near.product_id) into candidates
        from (
            select p.product_id
            from {{ products }} as p
            where p.tenant_id = similar_products.tenant and p.product_id <> similar_products.product
            order by p.embedding <=> asked
            limit greatest(4 * k, 100)
        ) as near;
        -- The scan gave up (hnsw.max_scan_tuples, or its memory): a right answer late is better than a short one.
        if coalesce(cardinality(candidates), 0) < least(4 * k, exact_products) then
            candidates := null;
        end if;
    end if;

    return query
    select
        p.product_id::text,
        p.category::text,
        p.brand::text,
        p.embedding <=> asked,
        1 - (p.embedding <=> asked)
    from {{ products }} as p
    where
        p.tenant_id = similar_products.tenant
        and p.product_id <> similar_products.product
        and p.embedding is not null
        and (candidates is null or p.product_id = any (candidates))
    -- plus zero: an order that no index has, so that nothing is approximated here
    order by (p.embedding <=> asked) + 0, p.product_id
    limit k;
end
