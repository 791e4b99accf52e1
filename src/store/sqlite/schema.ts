/** The tables, and the migration of older versions. */
import { NODES } from '../../smtp/queue-id.ts';

/** `PRAGMA application_id`: "SmHo". A file of another program has another one. */
export const APPLICATION_ID = 0x536d486f;
/** "SmHM": the data were carried to another engine, and this file is not a store any more. */
export const MOVED_ID = 0x536d484d;

/**
 * Each version has one step. The steps run in order in one transaction. The number of steps is the version (`PRAGMA user_version`).
 * A released step never changes.
 *
 * - `messages`, `recipients` and `attempts` are both queue and trace. Their key is the queue id, which grows with time, so that new rows
 *   go to the end and old rows are removed from the beginning.
 * - `open` has one small row for each message that has not ended. Walks through the queue read this table, so that a long trace does not
 *   slow them.
 * - `contents` has the bytes, by the number in `open`, so that no walk reads a body. A row is removed when its message ends.
 * - `recipients.next_attempt` is set exactly while a recipient waits (queued, delayed, uncertain). The partial index on it finds due mail.
 * - `messages.token` is a random number for each try to store a message. `withdraw` must give it.
 * - `instance.node` in `small_values` is the node number in each queue id.
 * - `recipients.owner` is the lease of an active recipient: the name in `owners`, `#`, and a number.
 * - `owners` has the last sign of life of each process that claims, by the clock of this machine. 0: the process is dead, and its claims
 *   are being taken back. The owner with an empty name stands for all unknown owners.
 * - `changes` has the last change of each topic. A reader remembers the last number that it has read, and reads the rows above it.
 * - `notices` has the changes of recipients by commands, until the relay has logged them.
 * - `untold` has the news that senders must still get. A row is written with the outcome of its recipient, and removed with the report.
 *   `reply` is JSON. While a row without `summary` exists, the message keeps its row in `open` and its content.
 * - `report_windows` counts the reports of a sender in the hour that began with the first report.
 * - `known_recipients.used_on` is a day (since 1970) on which the user sent to the address. The last such day is at most a week later.
 * - `sts_policies.refresh_at` is set exactly while the policy must be fetched again in the background.
 * - `tls_results` counts sessions of a UTC day for reports, by domain and applied policy; `policy` names the row of `tls_policies_seen` that
 *   holds its text. `tls_failures.key` is a hash of the columns behind it, up to `reason`.
 * - `recipients.held_by` is the provider that a waiting recipient is held for, because it refuses our address.
 * - `shaping` has the state of each provider as it sees one address of ours, `evidence` is JSON.
 * - `behaviour` has what was learned about a login, or (with `sender`) about one sender of a mail server. `record` is JSON.
 * - `messages.client_ip` and the columns behind it say how a client handed the message in. They are null for our own mail.
 * - `refused` has the newest refusals of commands, `history` counts by hour since the epoch; `subject` and `outcome` are places in a list.
 * - `sender_verdicts` has what receivers think of mail with a domain in From and one in the envelope, `detail` is JSON.
 * - `suppression` has addresses that seem not to exist: `hits` is JSON, `suppressed_at` is null while the address is only suspected.
 * - `feedback_sums` adds up what DMARC reports say of a UTC day; `feedback_reports` names those that were counted.
 * - `console_accounts.credentials`, `recovery_codes`, `console_tokens.scopes` and `networks` are JSON. `totp_step` is the last used time step.
 * - `console_links.account` is empty for the link that makes the first admin. `console_requests.status` is null until the request has ended.
 * - `audit` has one row for each change by a person, `action_id` is random, so that the requests of one action share a row.
 * - `verify` columns have the CRC-32 of bytes that must not change. A message with a wrong CRC-32 is set aside, not sent. That of `open`
 *   covers the id too, and is 2^32 larger then.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE messages (
    id TEXT PRIMARY KEY, user TEXT, reverse_path TEXT NOT NULL, message_id TEXT NOT NULL, size INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, flags INTEGER NOT NULL,
    envid TEXT, signatures TEXT NOT NULL, about TEXT, verify INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE recipients (
    message TEXT NOT NULL, n INTEGER NOT NULL, address TEXT NOT NULL, destination TEXT NOT NULL, notify INTEGER, orcpt TEXT,
    verify INTEGER NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_attempt INTEGER, owner TEXT,
    last_reply TEXT, delay_reported INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (message, n)
  ) WITHOUT ROWID;
  CREATE INDEX recipients_due ON recipients (destination, next_attempt) WHERE next_attempt IS NOT NULL;
  CREATE TABLE attempts (
    message TEXT NOT NULL, n INTEGER NOT NULL, attempt INTEGER NOT NULL, at INTEGER NOT NULL, mx TEXT, ip TEXT, tls TEXT,
    outcome INTEGER NOT NULL, code INTEGER NOT NULL, status TEXT NOT NULL, reply TEXT NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (message, n, attempt)
  ) WITHOUT ROWID;
  CREATE TABLE open (
    id TEXT PRIMARY KEY, content INTEGER NOT NULL, length INTEGER NOT NULL, verify INTEGER NOT NULL,
    spool TEXT, spool_size INTEGER, spool_verify INTEGER
  ) WITHOUT ROWID;
  CREATE TABLE contents (key INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE usage (
    user TEXT NOT NULL, kind INTEGER NOT NULL, per INTEGER NOT NULL, started_at INTEGER NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (user, kind, per)
  ) WITHOUT ROWID;
  CREATE TABLE known_recipients (user TEXT NOT NULL, address TEXT NOT NULL, PRIMARY KEY (user, address)) WITHOUT ROWID;
  CREATE TABLE credentials (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, senders TEXT NOT NULL, mail_server INTEGER NOT NULL, limits TEXT,
    disabled INTEGER NOT NULL, expires_at INTEGER, rewrite TEXT, created_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE failures (
    key TEXT PRIMARY KEY, in_minute INTEGER NOT NULL, minute_ends_at INTEGER NOT NULL,
    in_day INTEGER NOT NULL, day_ends_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX failures_end ON failures (day_ends_at);
  CREATE TABLE dkim_keys (
    domain TEXT NOT NULL, selector TEXT NOT NULL, algorithm TEXT NOT NULL, private_key TEXT NOT NULL, state TEXT NOT NULL,
    created_at INTEGER NOT NULL, PRIMARY KEY (domain, selector)
  ) WITHOUT ROWID;
  CREATE TABLE certificates (
    key_type TEXT PRIMARY KEY, certificate TEXT NOT NULL, key TEXT NOT NULL, source TEXT NOT NULL, created_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE paces (
    key TEXT PRIMARY KEY, concurrency REAL NOT NULL, blocked_until INTEGER NOT NULL, reason TEXT NOT NULL, failures INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE notices (seq INTEGER PRIMARY KEY, event TEXT NOT NULL, message TEXT NOT NULL, recipient TEXT NOT NULL);
  CREATE TABLE small_values (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  `,
  'ALTER TABLE attempts ADD COLUMN conversation TEXT',
  `
  ALTER TABLE credentials ADD COLUMN generation TEXT NOT NULL DEFAULT '';
  ALTER TABLE credentials ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
  UPDATE credentials SET generation = lower(hex(randomblob(9)));
  `,
  `
  CREATE TABLE untold (
    message TEXT NOT NULL, n INTEGER NOT NULL, action TEXT NOT NULL, sender TEXT NOT NULL, at INTEGER NOT NULL,
    due_at INTEGER NOT NULL, summary INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0,
    reply TEXT NOT NULL, mx TEXT, ip TEXT, PRIMARY KEY (message, n, action)
  ) WITHOUT ROWID;
  CREATE INDEX untold_due ON untold (due_at);
  CREATE INDEX untold_summaries ON untold (sender, due_at) WHERE summary = 1;
  CREATE TABLE report_windows (sender TEXT PRIMARY KEY, started_at INTEGER NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX report_windows_start ON report_windows (started_at);
  `,
  `
  ALTER TABLE messages ADD COLUMN token INTEGER;
  INSERT INTO small_values VALUES ('instance.node', abs(random() % ${NODES}));
  `,
  `
  CREATE TABLE over_limit (seq INTEGER PRIMARY KEY, message TEXT NOT NULL UNIQUE, user TEXT NOT NULL);
  CREATE INDEX over_limit_user ON over_limit (user, seq);
  `,
  'ALTER TABLE recipients ADD COLUMN excused INTEGER NOT NULL DEFAULT 0',
  `
  ALTER TABLE known_recipients ADD COLUMN used_on INTEGER NOT NULL DEFAULT 0;
  UPDATE known_recipients SET used_on = unixepoch() / 86400;
  `,
  'CREATE TABLE owners (name TEXT PRIMARY KEY, beat_at INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL UNIQUE)',
  `
  ALTER TABLE attempts ADD COLUMN assurance TEXT;
  CREATE TABLE sts_policies (
    domain TEXT PRIMARY KEY, id TEXT NOT NULL, mode TEXT NOT NULL, max_age INTEGER NOT NULL, mx TEXT NOT NULL, text TEXT NOT NULL,
    fetched_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, used_at INTEGER NOT NULL, refresh_at INTEGER,
    failures INTEGER NOT NULL, failed_at INTEGER, last_error TEXT, retry_at INTEGER, retry_id TEXT
  ) WITHOUT ROWID;
  CREATE INDEX sts_policies_refresh ON sts_policies (refresh_at) WHERE refresh_at IS NOT NULL;
  CREATE INDEX sts_policies_valid ON sts_policies (mode, expires_at);
  CREATE INDEX sts_policies_failing ON sts_policies (expires_at) WHERE failures > 0;
  CREATE TABLE tls_results (
    day INTEGER NOT NULL, domain TEXT NOT NULL, policy TEXT NOT NULL, type TEXT NOT NULL, policy_domain TEXT NOT NULL,
    ok INTEGER NOT NULL, failed INTEGER NOT NULL, PRIMARY KEY (day, domain, policy)
  ) WITHOUT ROWID;
  CREATE TABLE tls_policies_seen (policy TEXT PRIMARY KEY, text TEXT NOT NULL, mx TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE tls_failures (
    day INTEGER NOT NULL, domain TEXT NOT NULL, policy TEXT NOT NULL, key TEXT NOT NULL, type TEXT NOT NULL, sending_ip TEXT,
    mx TEXT, helo TEXT, receiving_ip TEXT, reason TEXT, count INTEGER NOT NULL, PRIMARY KEY (day, domain, policy, key)
  ) WITHOUT ROWID;
  CREATE TABLE tls_reports (
    day INTEGER NOT NULL, domain TEXT NOT NULL, rua TEXT NOT NULL, report_id TEXT NOT NULL, state TEXT NOT NULL, queue_id TEXT,
    attempts INTEGER NOT NULL, next_at INTEGER, last_error TEXT, created_at INTEGER NOT NULL, PRIMARY KEY (day, domain, rua)
  ) WITHOUT ROWID;
  CREATE INDEX tls_reports_due ON tls_reports (next_at) WHERE next_at IS NOT NULL;
  CREATE INDEX tls_reports_queued ON tls_reports (queue_id) WHERE state = 'queued';
  CREATE INDEX tls_reports_by_rua ON tls_reports (rua, day);
  CREATE INDEX tls_results_by_base ON tls_results (day, policy_domain) WHERE type = 'tlsa';
  `,
  `
  ALTER TABLE attempts ADD COLUMN proof TEXT;
  ALTER TABLE attempts ADD COLUMN policy_id TEXT;
  `,
  `
  ALTER TABLE recipients ADD COLUMN held_by TEXT;
  CREATE INDEX recipients_held ON recipients (held_by, message, n) WHERE held_by IS NOT NULL;
  CREATE TABLE shaping (
    provider TEXT NOT NULL, source TEXT NOT NULL, family INTEGER NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL,
    until INTEGER NOT NULL, step INTEGER NOT NULL, sessions INTEGER NOT NULL, rate REAL NOT NULL, learned_cap INTEGER,
    evidence TEXT NOT NULL, PRIMARY KEY (provider, source, family)
  ) WITHOUT ROWID;
  `,
  `
  ALTER TABLE attempts ADD COLUMN judged TEXT;
  ALTER TABLE attempts ADD COLUMN via TEXT;
  `,
  `
  ALTER TABLE messages ADD COLUMN client_ip TEXT;
  ALTER TABLE messages ADD COLUMN client_tls TEXT;
  ALTER TABLE messages ADD COLUMN mechanism TEXT;
  ALTER TABLE messages ADD COLUMN subject TEXT;
  CREATE TABLE behaviour (
    user TEXT NOT NULL, sender TEXT NOT NULL, record TEXT NOT NULL, written_at INTEGER NOT NULL, PRIMARY KEY (user, sender)
  ) WITHOUT ROWID;
  CREATE INDEX behaviour_written ON behaviour (written_at);
  `,
  `
  CREATE TABLE refused (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, until INTEGER NOT NULL, count INTEGER NOT NULL, session TEXT NOT NULL, ip TEXT NOT NULL,
    user TEXT, verb TEXT NOT NULL, code INTEGER NOT NULL, status TEXT NOT NULL, reply TEXT NOT NULL, reverse_path TEXT, recipient TEXT
  );
  CREATE TABLE history (
    hour INTEGER NOT NULL, subject INTEGER NOT NULL, name TEXT NOT NULL, outcome INTEGER NOT NULL, count INTEGER NOT NULL,
    bytes INTEGER NOT NULL, PRIMARY KEY (hour, subject, name, outcome)
  ) WITHOUT ROWID;
  CREATE TABLE sender_verdicts (
    domain TEXT NOT NULL, envelope TEXT NOT NULL, signatures TEXT NOT NULL, verdict TEXT NOT NULL, since INTEGER NOT NULL,
    at INTEGER NOT NULL, refresh_at INTEGER NOT NULL, used_at INTEGER NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (domain, envelope)
  ) WITHOUT ROWID;
  CREATE TABLE suppression (
    address TEXT PRIMARY KEY, provider TEXT NOT NULL, hits TEXT NOT NULL, suppressed_at INTEGER, over_bound INTEGER NOT NULL,
    class TEXT NOT NULL, reply TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX suppression_by_provider ON suppression (provider, suppressed_at);
  CREATE TABLE feedback_sums (
    day INTEGER NOT NULL, domain TEXT NOT NULL, source TEXT NOT NULL, sender TEXT NOT NULL, dkim TEXT NOT NULL, spf TEXT NOT NULL,
    disposition TEXT NOT NULL, messages INTEGER NOT NULL, verified TEXT NOT NULL,
    PRIMARY KEY (day, domain, source, sender, dkim, spf, disposition)
  ) WITHOUT ROWID;
  CREATE TABLE feedback_reports (key TEXT PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID;
  `,
  `
  CREATE TABLE console_accounts (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, credentials TEXT, password_hash TEXT, password_set_at INTEGER,
    totp_secret TEXT, totp_step INTEGER NOT NULL, recovery_codes TEXT NOT NULL, disabled INTEGER NOT NULL, created_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE console_links (
    id TEXT PRIMARY KEY, hash TEXT NOT NULL, account TEXT NOT NULL, expires_at INTEGER NOT NULL, tries_left INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE console_sessions (
    hash TEXT PRIMARY KEY, account TEXT NOT NULL, created_at INTEGER NOT NULL, last_seen_at INTEGER NOT NULL, ip TEXT NOT NULL,
    agent TEXT NOT NULL, confirmed_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX console_sessions_account ON console_sessions (account, created_at);
  CREATE TABLE console_tokens (
    id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL, account TEXT NOT NULL, scopes TEXT NOT NULL, credential TEXT,
    networks TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER, last_used_at INTEGER, last_used_ip TEXT
  ) WITHOUT ROWID;
  CREATE TABLE console_requests (
    owner TEXT NOT NULL, key TEXT NOT NULL, hash TEXT NOT NULL, at INTEGER NOT NULL, changed INTEGER NOT NULL, status INTEGER, body TEXT,
    PRIMARY KEY (owner, key)
  ) WITHOUT ROWID;
  CREATE INDEX console_requests_at ON console_requests (at);
  CREATE TABLE muted_findings (
    finding TEXT NOT NULL, subject TEXT NOT NULL, reason TEXT NOT NULL, muted_by TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER,
    PRIMARY KEY (finding, subject)
  ) WITHOUT ROWID;
  CREATE TABLE known_findings (
    finding TEXT NOT NULL, subject TEXT NOT NULL, result TEXT NOT NULL, since INTEGER NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY (finding, subject)
  ) WITHOUT ROWID;
  CREATE TABLE audit (
    seq INTEGER PRIMARY KEY, action_id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, actor TEXT NOT NULL, way TEXT NOT NULL, address TEXT,
    action TEXT NOT NULL, target TEXT NOT NULL, was TEXT NOT NULL, became TEXT NOT NULL, recipients INTEGER
  );
  CREATE INDEX audit_at ON audit (at);
  CREATE INDEX messages_about ON messages (about, id) WHERE about IS NOT NULL;
  `,
];
