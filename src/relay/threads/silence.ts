/**
 * How long a thread may answer nothing. The main thread asks each thread at every TICK and counts the ticks, so that a machine that
 * sleeps, or a process that is stopped, ends no thread. An answer sets the count to 0.
 */
import { SECOND } from '../../system/clock.ts';

/** Milliseconds. */
export const TICK = SECOND;
/** After so many ticks the thread gets no new clients and no attempts, as long as another thread answers. */
export const QUIET = 3;
/** After so many ticks it is said in the log. */
export const TOLD = 5;
/** After so many ticks the thread is replaced. */
export const REPLACED = 30;
