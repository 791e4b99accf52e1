/** One line for each figure, the same for all benchmarks; `run.ts` gathers them into one table. */

export type Row = { readonly part: string; readonly what: string; readonly figure: number; readonly unit: string };

const gathered = process.env['BENCH_ROWS'] !== undefined;

export function row(part: string, what: string, figure: number, unit: string): void {
  const line: Row = { part, what, figure, unit };
  console.log(gathered ? JSON.stringify(line) : `${part.padEnd(12)} ${what.padEnd(44)} ${rounded(figure).padStart(10)} ${unit}`);
}

/** Three digits that count are more than a busy machine gives. */
export function rounded(figure: number): string {
  return figure >= 100 ? figure.toFixed(0) : figure >= 10 ? figure.toFixed(1) : figure.toFixed(2);
}
