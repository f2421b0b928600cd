{#
  SQL: a text without white space around it, no-break and ideographic spaces and a byte order mark included;
  null where no words are left.
#}
{% macro words(column) -%}
    nullif(trim({{ column }}, ' ' || chr(9) || chr(10) || chr(13) || chr(160) || chr(12288) || chr(65279)), '')
{%- endmacro %}
