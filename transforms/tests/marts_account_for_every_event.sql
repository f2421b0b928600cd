-- What the marts count is what was deduplicated: no event is lost, none counted twice.
with events as (
    select
        count(*) as num_events,
        count(item_id) as num_item_events,
        count(text) as num_texts,
        count(*) filter (where text is not null and item_id is not null) as num_reviews
    from {{ ref('int_events_deduplicated') }}
    where {{ is_built_day() }}
),

accounts as (
    select 'interactions' as mart, num_item_events as expected, (select coalesce(sum(num_events), 0) from {{ ref('interactions') }}) as found
    from events
    union all
    select 'item_popularity_daily', num_item_events, (select coalesce(sum(num_events), 0) from {{ ref('item_popularity_daily') }})
    from events
    union all
    select 'user_activity_daily', num_events, (select coalesce(sum(num_events), 0) from {{ ref('user_activity_daily') }})
    from events
    union all
    select 'int_sessions', num_events, (select coalesce(sum(num_events), 0) from {{ ref('int_sessions') }})
    from events
    union all
    select 'user_texts', num_texts, (select count(*) from {{ ref('user_texts') }})
    from events
    union all
    select 'reviews', num_reviews, (select count(*) from {{ ref('reviews') }})
    from events
)

select * from accounts
where expected is distinct from found
