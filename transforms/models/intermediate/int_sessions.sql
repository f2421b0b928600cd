{{ config(materialized='table') }}

with events as (
    select * from {{ ref('int_events_deduplicated') }}
    where {{ is_built_day() }}
),

-- Sessions are cut at midnight UTC, so that a day does not depend on its neighbours.
timed as (
    select
        *,
        event_at - lag(event_at) over (
            partition by user_id, day, session_id
            order by event_at, event_id
        ) as silence
    from events
),

numbered as (
    select
        *,
        count(*) filter (where silence >= interval '{{ var("session_gap_minutes") }} minutes') over (
            partition by user_id, day, session_id
            order by event_at, event_id
            rows unbounded preceding
        ) as num_gaps
    from timed
),

-- A given session is one session however long its silences are.
keyed as (
    select
        *,
        coalesce('given ' || session_id, 'gap ' || num_gaps) as session_key
    from numbered
),

final as (
    select
        partition_day,
        day,
        user_id,
        session_key,
        min(event_at) as started_at,
        max(event_at) as ended_at,
        count(*) as num_events
    from keyed
    group by all
)

select * from final
