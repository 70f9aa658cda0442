/** Lines of bpf/ceilings for one kernel. */
export interface Figures {
  readonly kernel: string;
  readonly lines: readonly string[];
}
export function figuresOf(table: string): Figures;
export function withFigures(ceilings: string, figures: Figures): string;
