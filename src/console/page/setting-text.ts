/** Values of settings as an operator writes them in the file: YAML in one line, with more lines for mappings. */

/** @returns null: it is not set. */
export function settingText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value))
    return value.some(isMapping) ? value.map(entryText).join('\n') : `[${value.map(flowText).join(', ')}]`;
  return isMapping(value) ? pairsOf(value).join('\n') : String(value);
}

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const pairsOf = (value: Readonly<Record<string, unknown>>) =>
  Object.entries(value).map(([name, inner]) => `${name}: ${flowText(inner)}`);

const entryText = (value: unknown) => `- ${isMapping(value) ? pairsOf(value).join('\n  ') : flowText(value)}`;

function flowText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flowText).join(', ')}]`;
  return isMapping(value) ? `{ ${pairsOf(value).join(', ')} }` : String(value);
}
