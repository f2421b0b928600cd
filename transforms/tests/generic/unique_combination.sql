{# Fails with each combination of `columns` that more than one row holds. #}
{% test unique_combination(model, columns) %}
select {{ columns | join(', ') }}, count(*) as num_rows
from {{ model }}
group by all
having count(*) > 1
{% endtest %}
