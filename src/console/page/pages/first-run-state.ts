/** What the steps of the first run share. */
import type { Sentence } from '../phrases.ts';

type UpstreamAnswer = { readonly host: string; readonly user: string; readonly password: string };

/** `GET /first-run`. */
export type FirstRunState = {
  readonly answers: {
    readonly hostname?: string;
    readonly addresses?: readonly string[];
    readonly domains?: readonly string[];
    readonly acceptTerms?: boolean;
    readonly challenge?: 'http-01' | 'tls-alpn-01';
    readonly email?: string | null;
    readonly upstream?: UpstreamAnswer | null;
  };
  readonly proposed: { readonly hostname?: string; readonly addresses: readonly string[] };
  readonly file: string;
  readonly start: 'service' | 'here';
};

/** What DNS or machine say to an answer. */
export type SeenAnswer = {
  readonly result: 'ok' | 'warning' | 'unknown';
  readonly sentence: string;
  readonly phrase: Sentence | null;
};

export type StepProps = {
  readonly state: FirstRunState;
  /** To the next step. */
  done(): Promise<void>;
  /** undefined: this is the first one. */
  readonly back: (() => void) | undefined;
};

/** Words that stand one in a line, or behind blanks and commas. */
export const wordsOf = (text = ''): readonly string[] => text.split(/[\s,]+/).filter((word) => word !== '');
