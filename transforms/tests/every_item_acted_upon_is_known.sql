-- A user can only act on an item that the day's snapshot lists.
select interactions.day, interactions.item_id
from {{ ref('interactions') }} as interactions
anti join {{ ref('items') }} as items
    on items.day = {{ partition_of('interactions.day') }} and items.item_id = interactions.item_id
