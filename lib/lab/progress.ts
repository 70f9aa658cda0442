/** Runs a step that takes a while and tells of it; what {@link step} does, or nothing where nobody looks. */
export type Progress = <T>(title: string, work: () => Promise<T>) => Promise<T>;

/** Tells nothing. */
export const silent: Progress = (_title, work) => work();

/**
 * Writes a step to standard error: on a terminal one line whose seconds tick, elsewhere a line when it starts and one
 * when it ends, so that a log shows what ran and for how long.
 */
export const step: Progress = async (title, work) => {
  const out = process.stderr;
  const began = Date.now();
  const seconds = () => `${Math.round((Date.now() - began) / 1000)} s`;
  const terminal = out.isTTY === true;
  out.write(terminal ? `  ${title}` : `  ${title} ...\n`);
  const ticker = terminal ? setInterval(() => out.write(`\r  ${title} (${seconds()})`), 1000) : undefined;
  const close = (outcome: string) => {
    clearInterval(ticker);
    out.write(`${terminal ? "\r" : ""}  ${title}: ${outcome} ${seconds()}${terminal ? "   " : ""}\n`);
  };
  try {
    const result = await work();
    close("done in");
    return result;
  } catch (error) {
    close("failed after");
    throw error;
  }
};
