/** Colours for a terminal that shows them, and plain text for all other output. */
import { styleText } from 'node:util';
import type { Io } from './io.ts';

export type Colour = 'red' | 'yellow' | 'green' | 'cyan' | 'gray' | 'bold';
export type Paint = (colour: Colour, text: string) => string;

export const plain: Paint = (_, text) => text;

export function paintFor(io: Pick<Io, 'colours'>): Paint {
  return io.colours ? (colour, text) => styleText(colour, text, { validateStream: false }) : plain;
}
