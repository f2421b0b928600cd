{# Fails with each row for which `expression` is false or unknown. #}
{% test holds(model, expression) %}
select * from {{ model }} where ({{ expression }}) is not true
{% endtest %}
