/** What can be known of a database that several relays share, from outside: its servers, and the processes that have it open. */
import type { BackupCounts, Restored, RestoreRequest } from './embedded/embedded.ts';

/** A process that has the store open. Only a relay claims mail; a command is here for as long as it runs. */
export type StoreNode = {
  /** The node in its queue ids. */
  readonly id: number;
  readonly machine: string;
  readonly pid: number;
  readonly version: string;
  readonly startedAt: number;
  /** Its last sign of life, by the clock of the database. */
  readonly seenAt: number;
  /** False: it gave no sign of life for 30 s, so that another process may take its number and its claims. */
  readonly isAlive: boolean;
  /** True if it claims mail. */
  readonly isRelay: boolean;
  /** A digest of the settings that all relays must have alike. null: a command, or a relay that has just started. */
  readonly digest: string | null;
  /** The recipients that it works on. */
  readonly claims: number;
  /** Work that only one relay does at a time. */
  readonly leases: readonly string[];
};

/** A server of the cluster. */
export type ServerFacts = {
  /** Its name and port. */
  readonly place: string;
  /** Why it cannot be asked. null: it answers. */
  readonly problem: string | null;
  /** False: nothing answers there, so that it may be a primary that is cut off. */
  readonly isRunning: boolean;
  readonly role: 'primary' | 'standby' | null;
  readonly version: string | null;
  /** Equal for all servers of one cluster. */
  readonly system: string | null;
  /** Until its certificate ends. null: it is not verified. */
  readonly certificateDays: number | null;
};

/** A standby, as the primary sees it. `sync`: `sync`, `quorum`, `potential` or `async`. */
export type StandbyFacts = {
  readonly name: string;
  readonly state: string;
  readonly sync: string;
  /** The bytes of the log that it has not on its disk yet. */
  readonly behind: number;
};

export type PrimaryFacts = {
  readonly place: string;
  /** As numbers: 150018. */
  readonly version: number;
  /** By their names in PostgreSQL. Sizes are in bytes. */
  readonly settings: Readonly<Record<string, string>>;
  /** null: the user may not see them, because it is not in pg_monitor. */
  readonly standbys: readonly StandbyFacts[] | null;
  /** Replication slots that keep the log for a standby. */
  readonly slots: number;
  /** True if a connection pooler is between us and the server. */
  readonly isPooled: boolean;
  readonly connections: number;
  /** Those of other users, of which this user sees nothing but that they are there. */
  readonly hidden: number;
  /** Connections that this user can still open, by the limits of the server, the user and the database. */
  readonly free: number;
  readonly encoding: string;
  /** The user may not write, by a setting of the user, the database or the server. */
  readonly isReadOnly: boolean;
  /** The names of our tables that the user may not read and write. null: there is none. */
  readonly lacking: string | null;
  /** Seconds that the oldest transaction has been open. null: none, or the user may not see it. */
  readonly oldestTransaction: number | null;
  /** Milliseconds by which the clock of the server is ahead of that of this machine. */
  readonly ahead: number;
  /** The living relays, with digests of their settings: parts with a blank between them, each with its name. */
  readonly relays: readonly { readonly name: string; readonly digest: string }[];
  /** The bytes of the database on the disk. */
  readonly size: number;
  /** null: no relay has made its tables yet. */
  readonly format: number | null;
};

/** One look at all servers. */
export type ClusterLook = {
  readonly durability: 'two' | 'one';
  readonly servers: readonly ServerFacts[];
  /** undefined: no server that answers is a primary. */
  readonly primary: PrimaryFacts | undefined;
  /** The format of the tables that this version knows. */
  readonly wantedFormat: number;
};

/** A shared database, whether this process has the store open or not. Looks change nothing. */
export type StoreCluster = {
  /** Rejects with a StoreError if no primary answers. */
  nodes(): Promise<readonly StoreNode[]>;
  /** Never rejects: what cannot be asked is a fact. */
  look(): Promise<ClusterLook>;
  /** Writes the same file as for a store in files, from one snapshot, while relays run. Rejects with a StoreError; no file is left then. */
  backup(file: string): Promise<BackupCounts>;
  /** As for a store in files. No relay may have the database open. Rejects with a StoreError; nothing is changed then. */
  restore(request: Omit<RestoreRequest, 'dataDir'>): Promise<Restored>;
};
