{# What must hold before anything is built; each failure says how to mend it. #}

{% macro check_vars() %}
    {%- if execute and flags.WHICH in ['build', 'run'] -%}
        {%- if var('tables_root') == 'not-set' -%}
            {{ exceptions.raise_compiler_error("var tables_root is not set; give --vars with tables_root, first_day, start_day, end_day and weights") }}
        {%- endif -%}
        {%- if not (var('first_day') | string <= var('start_day') | string <= var('end_day') | string) -%}
            {{ exceptions.raise_compiler_error(
                "days must satisfy first_day <= start_day <= end_day; got " ~ var('first_day') ~ ", " ~ var('start_day') ~ ", " ~ var('end_day')
            ) }}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{# A glob would read a raw partition that was never written as a day without events. #}
{% macro check_raw_partitions() %}
    {%- if execute and flags.WHICH in ['build', 'run'] -%}
        {%- set missing = run_query(missing_raw_partitions()).columns[0].values() -%}
        {%- if missing -%}
            {{ exceptions.raise_compiler_error(
                missing | length ~ " raw partition(s) are missing below " ~ var('tables_root') ~ ", first " ~ missing[0]
                ~ "; materialize the raw tables for every day from " ~ var('start_day') ~ " to " ~ var('end_day')
            ) }}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{% macro missing_raw_partitions() -%}
    select wanted.table_name || '/' || wanted.day as partition
    from (
        select
            unnest(['raw_events', 'raw_items', 'raw_users', 'raw_knowledge']) as table_name,
            day
        from (select unnest(['{{ snapshot_days() | join("', '") }}']) as day)
    ) as wanted
    anti join (
        select
            regexp_extract(file, '([^/]+)/[^/]+$', 1) as table_name,
            parse_filename(file, true) as day
        from glob('{{ partition_path("raw_*", "????-??-??") }}')
    ) as written
        using (table_name, day)
    order by partition
{%- endmacro %}
