{#
  Incremental strategy `replace_days`: the rows of the built days go, the new rows come, in one transaction.
  dbt's delete+insert deletes only keys that the new rows carry, so a day that became empty would keep its old rows.
#}
{% macro get_incremental_replace_days_sql(arg_dict) %}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arg_dict['target_relation'] }} where {{ is_built_day() }} or partition_day < date '{{ var("first_day") }}';
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }} where {{ is_built_day() }}
{% endmacro %}
