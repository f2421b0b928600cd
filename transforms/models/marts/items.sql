with item_versions as (
    select * from {{ ref('stg_items') }}
    where {{ is_snapshot_day() }}
),

item_events as (
    select * from {{ ref('int_events_deduplicated') }}
    where item_id is not null
        and partition_day <= date '{{ var("end_day") }}'
),

days as (
    select unnest([date '{{ snapshot_days() | join("', date '") }}']) as day
),

catalogued as (
    select
        partition_day as day,
        * exclude (partition_day)
    from item_versions
    where created_at is null
        or created_at < {{ end_of('partition_day') }}
    qualify row_number() over (
        partition by partition_day, item_id
        order by created_at desc nulls last, source_file desc, source_row desc
    ) = 1
),

seen as (
    select
        item_id,
        min(partition_day) as first_seen_day,
        min(event_at) as first_event_at
    from item_events
    group by item_id
),

seen_only as (
    select
        days.day,
        seen.item_id,
        seen.first_event_at
    from days
    inner join seen on seen.first_seen_day <= days.day
    anti join catalogued
        on catalogued.day = days.day and catalogued.item_id = seen.item_id
),

known as (
    select day, item_id, title, text, category, tags, attributes, created_at, true as is_catalogued
    from catalogued
    union all by name
    select
        day,
        item_id,
        item_id as title,
        cast([] as varchar[]) as tags,
        -- When it appeared to us; null would claim that it was always known.
        first_event_at as created_at,
        false as is_catalogued
    from seen_only
),

-- The oldest texts at a day's end are the oldest of all that lie before it, so one ranking serves every day.
first_texts as (
    select item_id, partition_day, event_at, event_id, user_id, text
    from item_events
    where text is not null
    qualify row_number() over (partition by item_id order by event_at, event_id, user_id) <= {{ var('max_fallback_texts') }}
),

fallback_texts as (
    select
        known.day,
        known.item_id,
        left(
            string_agg(first_texts.text, E'\n' order by first_texts.event_at, first_texts.event_id, first_texts.user_id),
            {{ var('max_fallback_characters') }}
        ) as text,
        max(first_texts.event_at) as text_known_at
    from known
    inner join first_texts
        on first_texts.item_id = known.item_id and first_texts.partition_day <= known.day
    where known.text is null
    group by known.day, known.item_id
),

final as (
    select
        known.day,
        known.item_id,
        known.title,
        coalesce(known.text, fallback_texts.text) as text,
        fallback_texts.text_known_at,
        known.category,
        known.tags,
        known.attributes,
        known.created_at,
        known.is_catalogued
    from known
    left join fallback_texts
        on fallback_texts.day = known.day and fallback_texts.item_id = known.item_id
)

select * from final
