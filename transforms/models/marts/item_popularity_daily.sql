with events as (
    select * from {{ ref('int_events_deduplicated') }}
    where {{ is_built_day() }}
),

item_events as (
    select * from events
    where item_id is not null
),

final as (
    select
        day,
        item_id,
        count(*) as num_events,
        count(distinct user_id) as num_users,
        count(*) filter (where weight > 0) as num_positive,
        {{ ordered_sum('weight') }} as total_weight
    from item_events
    group by day, item_id
)

select * from final
