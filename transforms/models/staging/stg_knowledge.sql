with knowledge as (
    select * from {{ source('raw', 'raw_knowledge') }}
),

cleaned as (
    select
        cast(parse_filename(filename, true) as date) as partition_day,
        head,
        relation,
        tail,
        source_file,
        source_row
    from knowledge
)

select * from cleaned
