{# Marts leave the warehouse as `<tables_root>/<mart>/<day>.parquet`. #}

{# A partition's file, ready to stand between single quotes. #}
{% macro partition_path(table, day) -%}
    {{ return((var('tables_root') ~ '/' ~ table ~ '/' ~ day ~ '.parquet') | replace("'", "''")) }}
{%- endmacro %}

{#
  Runs once everything is built and tested: all marts leave together, or none does, so that no file holds rows that failed a test.
  DuckDB writes `tmp_<day>.parquet` and renames it: a reader sees the old file or the new one. It does not make folders.
#}
{% macro export_marts(results) %}
    {%- if execute and flags.WHICH in ['build', 'run'] -%}
        {%- set broken = results | map(attribute='status') | map('string') | select('in', ['error', 'fail', 'skipped', 'runtime error', 'partial success']) | list -%}
        {%- if broken -%}
            {{ log("marts stay as they were: " ~ broken | length ~ " of " ~ results | length ~ " nodes failed or were skipped", info=true) }}
        {%- else -%}
            {#- DuckDB 2.0 marks a column required where the statistics of the whole warehouse table show no null (duckdb#22183):
                a day's schema and bytes would depend on the other days. Without statistics every column is optional. #}
            set disabled_optimizers = 'statistics_propagation';
            {%- for result in results if result.node.resource_type == 'model' and result.node.fqn[1] == 'marts' -%}
                {{ export_mart(result.node) }}
            {%- endfor -%}
            reset disabled_optimizers;
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{# One file per day asked for, rows in key order, so that the same rows are the same bytes; an empty day is a file without rows. #}
{% macro export_mart(mart) %}
    {%- for day in (snapshot_days() if mart.config.meta['grain'] == 'snapshot' else built_days()) %}
    copy (
        select * from {{ mart.relation_name }}
        where {{ partition_of() }} = date '{{ day }}'
        order by {{ mart.config.meta['key'] | join(', ') }}
    ) to '{{ partition_path(mart.name, day) }}' (format parquet, compression zstd, use_tmp_file true);
    {%- endfor -%}
{% endmacro %}
