-- A view over a table with row-level security reads with the rights of who asks it: any other reads
-- as its owner, who sees every tenant's rows. A materialized view would keep an unguarded copy.
select distinct
    reader.oid::regclass::text as reader,
    guarded.oid::regclass::text as guarded
from pg_catalog.pg_depend as uses
inner join pg_catalog.pg_rewrite as rule on uses.objid = rule.oid
inner join pg_catalog.pg_class as reader on rule.ev_class = reader.oid
inner join pg_catalog.pg_class as guarded on uses.refobjid = guarded.oid
where
    uses.classid = 'pg_catalog.pg_rewrite'::regclass
    and uses.refclassid = 'pg_catalog.pg_class'::regclass
    and reader.relnamespace = to_regnamespace('serving')
    and guarded.relrowsecurity
    and reader.oid <> guarded.oid
    and not coalesce('security_invoker=true' = any(reader.reloptions), false)
