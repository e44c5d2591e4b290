//! The tables.

/// What makes each version of the one before. What is looked for stands in columns, the rest in `json`.
pub const STEPS: [&str; 2] = [TABLES, SENT];

/// Holds the version, and whether something was erased that may still be in the files.
pub const CASEBOOK: &str = "
create table if not exists casebook (version integer not null, scrub boolean not null default false);
insert into casebook (version) select 0 where not exists (select from casebook);
";

/// Columns of personal data are kept out of the planner's statistics, which would hold samples of them.
const TABLES: &str = "
create table entries (
    number bigint primary key,
    case_id bigint not null,
    line text not null
);
create index entries_of_case on entries (case_id, number);

create function entries_stay() returns trigger language plpgsql as $$ begin
    raise exception 'entries of the log are never changed or deleted' using errcode = 'integrity_constraint_violation';
end $$;
create trigger entries_stay before update or delete or truncate on entries for each statement execute function entries_stay();

create function entries_follow() returns trigger language plpgsql as $$ begin
    if new.number <> (select coalesce(max(number), 0) + 1 from entries) then
        raise exception 'an entry of the log follows the last one' using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end $$;
create trigger entries_follow before insert on entries for each row execute function entries_follow();

create table dockets (
    id bigint primary key,
    state text not null,
    profile text not null,
    lane integer not null,
    stream text not null,
    claimant_key text not null,
    changed_us bigint not null,
    due_us bigint,
    work boolean not null,
    strike boolean not null,
    rejected boolean not null,
    erased boolean not null,
    token text,
    json text not null
);
create index dockets_by_state on dockets (state, lane, due_us, id);
create index dockets_by_stream on dockets (stream) where strike;
create index dockets_by_claimant on dockets (claimant_key);
create index dockets_with_work on dockets (id) where work;
create index dockets_due on dockets (due_us) where due_us is not null;
create unique index dockets_by_token on dockets (token) where token is not null;

create table records (
    hash text primary key,
    case_id bigint not null,
    personal boolean not null,
    json text not null
);
create index records_of_case on records (case_id);
alter table records alter column json set statistics 0;

create table drafts (
    id text primary key,
    token text not null,
    confirmation text,
    waits boolean not null,
    expires_us bigint not null,
    json text not null
);
create unique index drafts_by_confirmation on drafts (confirmation) where confirmation is not null;
create index drafts_by_expiry on drafts (expires_us);
alter table drafts alter column json set statistics 0;

create table letters (
    number bigserial primary key,
    id text not null unique,
    case_id bigint,
    draft text,
    put_us bigint not null,
    next_us bigint,
    json text not null
);
create index letters_due on letters (next_us) where next_us is not null;
create index letters_of_case on letters (case_id) where case_id is not null;
create index letters_of_draft on letters (draft) where draft is not null;
alter table letters alter column json set statistics 0;
";

/// What is remembered of letters that were sent.
const SENT: &str = "
alter table letters add column sent_us bigint;
create index letters_sent on letters (number) where sent_us is not null;
";
