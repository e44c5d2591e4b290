//! The tables.

/// Grows whenever the tables change.
pub const VERSION: i64 = 3;

/// What makes each version of the one before. What is looked for stands in columns, the rest in `json`.
pub const STEPS: [&str; VERSION as usize] = [TABLES, LETTERS, SENT];

const TABLES: &str = "
create table entries (
    number integer primary key,
    case_id integer not null,
    line text not null
) strict;
create index entries_of_case on entries (case_id, number);

create table dockets (
    id integer primary key,
    state text not null,
    profile text not null,
    lane integer not null,
    stream text not null,
    claimant_key text not null,
    changed_us integer not null,
    due_us integer,
    work integer not null,
    strike integer not null,
    rejected integer not null,
    erased integer not null,
    token text,
    json text not null
) strict;
create index dockets_by_state on dockets (state, lane, due_us, id);
create index dockets_by_stream on dockets (stream) where strike = 1;
create index dockets_by_claimant on dockets (claimant_key);
create index dockets_with_work on dockets (id) where work = 1;
create index dockets_due on dockets (due_us) where due_us is not null;
create unique index dockets_by_token on dockets (token) where token is not null;

create table records (
    hash text primary key,
    case_id integer not null,
    personal integer not null,
    json text not null
) strict;
create index records_of_case on records (case_id);

create table drafts (
    id text primary key,
    token text not null,
    confirmation text,
    expires_us integer not null,
    json text not null
) strict;
create unique index drafts_by_confirmation on drafts (confirmation) where confirmation is not null;
create index drafts_by_expiry on drafts (expires_us);
";

/// Letters that wait (or were given up: `next_us` is null), and a log that can only grow.
const LETTERS: &str = "
create table letters (
    number integer primary key,
    id text not null unique,
    case_id integer,
    draft text,
    put_us integer not null,
    next_us integer,
    json text not null
) strict;
create index letters_due on letters (next_us) where next_us is not null;
create index letters_of_case on letters (case_id) where case_id is not null;
create index letters_of_draft on letters (draft) where draft is not null;

create trigger entries_stay before update on entries begin
    select raise(abort, 'entries of the log are never changed');
end;
create trigger entries_are_kept before delete on entries begin
    select raise(abort, 'entries of the log are never deleted');
end;
create trigger entries_follow before insert on entries
when new.number <> (select coalesce(max(number), 0) + 1 from entries) begin
    select raise(abort, 'an entry of the log follows the last one');
end;
";

/// What is remembered of letters that were sent.
const SENT: &str = "
alter table letters add column sent_us integer;
create index letters_sent on letters (number) where sent_us is not null;
";
