/**
 * What must survive, and the promises about it. Whoever keeps it (SQLite now, a shared database later) is hidden:
 * this interface knows no SQL and no file. Every method that changes something resolves when the change is synced,
 * and rejects when it was not: a change that was rejected is either absent or, after a power cut, there as a whole.
 *
 * Times are milliseconds since the epoch, sizes bytes.
 */
export type { Damage, OpenOptions, Store } from './contract.ts';
export { StoreError } from './contract.ts';
export type * from './credential-store.ts';
export type * from './message-store.ts';
export { ENDED_STATES } from './message-store.ts';
export type * from './operation-store.ts';
export { becomeOwner } from './sqlite/data-dir.ts';
export { lockInstance } from './sqlite/instance-lock.ts';
export { openStore } from './sqlite/sqlite-store.ts';
