/** The doctor, as an operator asks it: one look at a time, and what the last one found. */
import type { Finding } from '../doctor/doctor.ts';
import type { ConsoleStore } from '../store/store.ts';
import { type Clock, SECOND, systemClock } from '../system/clock.ts';
import type { DoctorParts } from './doctor-input.ts';
import { iso } from './shapes.ts';

/** Looks at everything that direct sending depends on. It takes some seconds. */
export async function lookAtRelay(parts: DoctorParts): Promise<readonly Finding[]> {
  const { examineRelay } = await import('./doctor-input.ts');
  return examineRelay(parts);
}

/** `since`: the first look that found it so, also of an earlier process. */
type AgedFinding = Finding & { readonly since: string };
type FindingChange = Pick<Finding, 'check' | 'subject' | 'result'> & { readonly at: string; readonly before: Finding['result'] };

/** `findings` are in the order in which they should be mended. `error`: why the last look failed. */
type LastLook = {
  readonly state: 'never' | 'looking' | 'looked';
  readonly startedAt: string | null;
  readonly lookedAt: string | null;
  readonly error: string | null;
  readonly findings: readonly AgedFinding[];
  /** Results that differ from those of the look before, the newest first. */
  readonly changes: readonly FindingChange[];
};

export type Doctor = {
  last(): LastLook;
  /** Begins a look, unless one is under way or began less than 30 s ago. @returns whether one began. */
  look(): boolean;
  /** Resolves when no look is under way. */
  settled(): Promise<void>;
};

type KnownResults = Pick<ConsoleStore, 'findings' | 'keepFindings'>;

const EVERY = 30 * SECOND;
const MOST_CHANGES = 200;
const keyOf = ({ check, subject }: Pick<Finding, 'check' | 'subject'>) => `${check} ${subject}`;

/** @param examine what a look does. @param kept where the results of the last look are, so that a restart does not make them young. */
export function createDoctor(examine: () => Promise<readonly Finding[]>, kept: KnownResults, now: Clock = systemClock): Doctor {
  let running: Promise<void> | undefined;
  let startedAt: number | null = null;
  let lookedAt: number | null = null;
  let error: string | null = null;
  let findings: readonly AgedFinding[] = [];
  let changes: readonly FindingChange[] = [];

  async function run(): Promise<void> {
    try {
      const found = await examine();
      await take(found, now());
      error = null;
    } catch (cause) {
      error = (cause as Error).message;
    }
    lookedAt = now();
  }

  async function take(found: readonly Finding[], time: number): Promise<void> {
    const at = iso(time);
    const known = new Map((await kept.findings()).map((finding) => [keyOf(finding), finding]));
    const aged = found.map((finding) => {
      const before = known.get(keyOf(finding));
      return { ...finding, since: before?.result === finding.result ? iso(before.since) : at };
    });
    const results = found.map(({ check, subject, result, ...detail }) => ({
      ...{ check, subject, result, detail: JSON.stringify(detail) },
    }));
    await kept.keepFindings(results, time);
    const changed = aged.flatMap(({ check, subject, result }) => {
      const before = known.get(keyOf({ check, subject }))?.result as Finding['result'] | undefined;
      return before === undefined || before === result ? [] : [{ at, check, subject, before, result }];
    });
    changes = [...changed, ...changes].slice(0, MOST_CHANGES);
    findings = aged;
  }

  return {
    last() {
      const state = running !== undefined ? 'looking' : lookedAt === null ? 'never' : 'looked';
      return { state, startedAt: iso(startedAt), lookedAt: iso(lookedAt), error, findings, changes };
    },
    look() {
      if (running !== undefined || (startedAt !== null && now() - startedAt < EVERY)) return false;
      startedAt = now();
      running = run().finally(() => {
        running = undefined;
      });
      return true;
    },
    settled: async () => running,
  };
}
