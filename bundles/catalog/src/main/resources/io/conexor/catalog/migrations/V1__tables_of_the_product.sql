-- Every table of the product. Rules for changing them later: docs/operations.md#schema-changes.

create table organisations (
  id uuid primary key,
  slug text not null constraint organisations_slug_taken unique
    constraint organisations_slug_invalid check (slug ~ '^[a-z0-9-]{1,63}$'),
  name text not null,
  -- grows by one with every change to anything the organisation owns; its row lock puts editors in a line
  version bigint not null default 1,
  created_at timestamptz not null default now()
);

create table agents (
  id uuid primary key,
  org uuid not null references organisations on delete cascade,
  name text not null constraint agents_name_invalid check (name <> '' and length(name) <= 128),
  allowed_sources text[] not null default '{}',
  created_at timestamptz not null default now(),
  constraint agents_name_taken unique (org, name)
);

create table data_sources (
  org uuid not null references organisations on delete cascade,
  name text not null constraint data_sources_name_invalid check (name ~ '^[a-z0-9_-]{1,63}$'),
  engine text not null constraint data_sources_engine_invalid check
    (engine in ('postgresql', 'mysql', 'mariadb', 'sqlserver', 'oracle', 'sqlite', 'h2')),
  description text not null default '',
  created_at timestamptz not null default now(),
  primary key (org, name)
);

create table source_schemas (
  org uuid not null,
  name text not null,
  tables jsonb not null,
  -- sha-256 of what was discovered, so that an equal schema changes nothing
  hash bytea not null,
  discovered_at timestamptz not null default now(),
  primary key (org, name),
  constraint source_schemas_source_missing foreign key (org, name) references data_sources on delete cascade
);

create table tools (
  id uuid primary key,
  org uuid not null references organisations on delete cascade,
  name text not null constraint tools_name_invalid check (name ~ '^[a-zA-Z0-9_-]{1,64}$'),
  description text not null default '',
  -- no foreign key: a source that went away leaves its tools, which work again when it is back
  source text not null,
  sql text not null,
  parameters jsonb not null default '[]',
  created_at timestamptz not null default now(),
  constraint tools_name_taken unique (org, name)
);

create table mcp_servers (
  id uuid primary key,
  org uuid not null references organisations on delete cascade,
  name text not null constraint mcp_servers_name_invalid check (name ~ '^[a-z0-9-]{1,63}$'),
  description text not null default '',
  enabled boolean not null default true,
  sources text[] not null default '{}',
  generated_tools boolean not null default true,
  free_query boolean not null default false,
  tools uuid[] not null default '{}',
  created_at timestamptz not null default now(),
  constraint mcp_servers_name_taken unique (org, name)
);

create table users (
  id uuid primary key,
  org uuid not null references organisations on delete cascade,
  -- stored as typed; compared without case
  email text not null constraint users_email_invalid check (email like '_%@_%' and length(email) <= 320),
  role text not null constraint users_role_invalid check (role in ('ADMIN', 'MEMBER')),
  password_hash text not null,
  created_at timestamptz not null default now()
);
create unique index users_email_taken on users (lower(email));
create index users_by_org on users (org);

create table api_keys (
  id uuid primary key,
  org uuid not null references organisations on delete cascade,
  kind text not null constraint api_keys_kind_invalid check (kind in ('AGENT', 'SERVER', 'ADMIN')),
  -- the agent or MCP server; null only for an administrator's token
  owner text constraint api_keys_owner_invalid check (owner is not null or kind = 'ADMIN'),
  name text not null,
  prefix text not null,
  -- sha-256 of the key
  hash bytea not null constraint api_keys_hash_taken unique
    constraint api_keys_hash_invalid check (length(hash) = 32),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);
create index api_keys_by_org on api_keys (org, created_at desc);
create index api_keys_by_owner on api_keys (org, owner);

-- No foreign key: the trail outlives what it is about, and is delivered late when PostgreSQL was away.
create table audit_records (
  id uuid primary key,
  at timestamptz not null,
  received_at timestamptz not null default now(),
  org uuid,
  action text not null,
  outcome text not null constraint audit_records_outcome_invalid check
    (outcome in ('OK', 'REFUSED', 'FAILED', 'CANCELLED', 'UNKNOWN')),
  principal text,
  remote_address text,
  request_id text,
  node text not null,
  mcp_server text,
  tool text,
  source text,
  agent text,
  target text,
  statement_hash text,
  parameter_count integer not null default 0,
  row_count bigint not null default 0,
  truncated boolean not null default false,
  elapsed_micros bigint not null default 0,
  error text
);
create index audit_records_by_org on audit_records (org, at desc, id desc);
create index audit_records_by_time on audit_records using brin (at);

-- Sign connection tokens, cookies and session ids. The newest signs, all verify.
create table fleet_secrets (
  id uuid primary key,
  created_at timestamptz not null default now(),
  secret bytea not null
);

-- Answers of REST creates, so that repeating one with the same Idempotency-Key answers the same.
create table idempotency_keys (
  org uuid not null references organisations on delete cascade,
  key text not null constraint idempotency_keys_key_invalid check (key <> '' and length(key) <= 255),
  -- method and path
  operation text not null,
  request_hash bytea not null,
  -- null while the first request is still at work
  status integer,
  response_body bytea,
  created_at timestamptz not null default now(),
  primary key (org, key)
);
create index idempotency_keys_by_time on idempotency_keys (created_at);

-- The second line of tenancy: whatever a statement forgets to say, a transaction sees the rows of its own
-- organisation only. Database.forOrganisation and Database.forFleet set conexor.org for one transaction;
-- when nothing is set, no row is visible. FORCE: it holds for the owner too (superusers escape it).
do $$
declare
  tenant record;
begin
  for tenant in
    select * from (values
      ('organisations', 'id'), ('agents', 'org'), ('data_sources', 'org'), ('source_schemas', 'org'),
      ('tools', 'org'), ('mcp_servers', 'org'), ('users', 'org'), ('api_keys', 'org'),
      ('audit_records', 'org'), ('idempotency_keys', 'org')) as t (name, col)
  loop
    execute format('alter table %I enable row level security', tenant.name);
    execute format('alter table %I force row level security', tenant.name);
    execute format(
      'create policy own_organisation on %I using ('
        || ' %I = nullif(nullif(current_setting(''conexor.org'', true), ''''), ''*'')::uuid'
        || ' or current_setting(''conexor.org'', true) = ''*'')',
      tenant.name, tenant.col);
  end loop;
end
$$;
